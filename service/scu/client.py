"""One association to one peer: C-STORE of a file as stored, or C-ECHO."""

import logging
from collections.abc import Callable
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config, build_context
from pynetdicom.association import Association

from service.config import Peer
from service.errors import Refused
from service.scu.association import Answer, ClosableEntity, ContextProposal, with_association
from service.scu.outcome import Failure, Outcome, PermanentRefusal, TransientFailure
from service.scu.part10 import StoredObject, look_at
from service.scu.statuses import outcome_of

log = logging.getLogger(__name__)

VERIFICATION = "1.2.840.10008.1.1"

_CONVERTIBLE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


class Scu:
    """The node as a service class user of other applications. Thread-safe."""

    def __init__(self, *, calling_aet: str, timeout_s: float) -> None:
        self._calling_aet = calling_aet
        self._timeout_s = timeout_s
        _config.STORE_SEND_CHUNKED_DATASET = True  # files are sent unchanged, without being decoded

    def echo(self, peer: Peer) -> Outcome:
        """Return Sent if the peer accepts the association and answers a C-ECHO."""
        contexts = [build_context(VERIFICATION, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])]
        return self.ask(
            peer, ContextProposal(contexts=contexts), lambda association: _outcome(association.send_c_echo())
        )

    def store(self, path: Path, peer: Peer) -> Outcome:
        """Send the object in the file; return the outcome.

        The file's own transfer syntax is proposed first, so that nothing is re-encoded. Only if the peer refuses it
        and the file is not compressed is the object sent in implicit or explicit VR little endian.
        """
        try:
            stored = look_at(path)
        except Refused as error:
            return PermanentRefusal(reason=str(error))
        except OSError as error:
            return TransientFailure(reason=f"the structure set's file cannot be read: {error.strerror}")
        contexts = [build_context(stored.sop_class_uid, [uid]) for uid in _transfer_syntaxes(stored)]
        return self.ask(
            peer, ContextProposal(contexts=contexts), lambda association: _store(association, stored)
        )

    def ask(
        self, peer: Peer, proposal: ContextProposal, request: Callable[[Association], Answer]
    ) -> Answer | Failure:
        """Return the result of ``request`` on an association with the peer, or why there is none."""
        return with_association(
            ClosableEntity(self._calling_aet, timeout_s=self._timeout_s), peer, proposal, request
        )


def _transfer_syntaxes(stored: StoredObject) -> list[str]:
    own = stored.transfer_syntax_uid
    if own not in (*_CONVERTIBLE, DeflatedExplicitVRLittleEndian):
        return [own]
    return [own, *(str(uid) for uid in _CONVERTIBLE if uid != own)]


def _store(association: Association, stored: StoredObject) -> Outcome:
    accepted = {str(context.transfer_syntax[0]) for context in association.accepted_contexts}
    if stored.transfer_syntax_uid in accepted:
        return _outcome(association.send_c_store(stored.path))
    log.info("converting for the destination", extra={"transfer_syntaxes": sorted(accepted)})
    return _outcome(association.send_c_store(dcmread(stored.path)))


def _outcome(response: Dataset) -> Outcome:
    if "Status" not in response:
        return TransientFailure(
            reason="no answer to the request: the peer was silent, aborted or closed the connection"
        )
    comment = str(response.ErrorComment) if "ErrorComment" in response else ""
    return outcome_of(int(response.Status), comment=comment)
