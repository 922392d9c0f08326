"""One association to one peer: C-STORE of a file as it lies on the disk, or C-ECHO."""

import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationSocket
from typing_extensions import override

from service.config import Peer
from service.errors import Refused
from service.scu.outcome import Outcome, PermanentRefusal, TransientFailure
from service.scu.part10 import StoredObject, look_at
from service.scu.statuses import outcome_of

log = logging.getLogger(__name__)

VERIFICATION = "1.2.840.10008.1.1"

_CONVERTIBLE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_REJECTED = 3  # PS3.8 Table 9-18: abstract syntax not supported
_REASONS = {  # PS3.8 Table 9-21: source and reason
    (1, 1): "no reason given",
    (1, 2): "application context not supported",
    (1, 3): "it does not know the calling AE title",
    (1, 7): "it does not answer to the called AE title",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "it is congested",
    (3, 2): "it has no association left",
}


class _Entity(AE):
    """An AE whose sockets can be closed: pynetdicom 3.0 leaves that of a failed connection to the garbage collector."""

    def __init__(self, ae_title: str) -> None:
        super().__init__(ae_title)
        self.opened: list[socket.socket] = []

    @override
    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[ssl.SSLContext, str] | None,
    ) -> AssociationSocket:
        created = super()._create_socket(assoc, address, tls_args)
        if created.socket is not None:
            self.opened.append(created.socket)
        return created


class Scu:
    """The node as a client of other applications. Safe to use from many threads."""

    def __init__(self, *, calling_aet: str, timeout_s: float) -> None:
        self._calling_aet = calling_aet
        self._timeout_s = timeout_s
        _config.STORE_SEND_CHUNKED_DATASET = True  # files go out as they are, without being decoded

    def echo(self, peer: Peer) -> Outcome:
        """Returns Sent when the peer lets the node in and answers a C-ECHO."""
        contexts = [build_context(VERIFICATION, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])]
        return self._with(peer, contexts, lambda association: _outcome(association.send_c_echo()))

    def store(self, path: Path, peer: Peer) -> Outcome:
        """Returns what the peer said to the object in the file.

        The file's own transfer syntax is proposed first and nothing is re-encoded then. Only where the peer refuses
        it, and the file is not compressed, does the object go out in implicit or explicit VR little endian.
        """
        try:
            stored = look_at(path)
        except Refused as error:
            return PermanentRefusal(reason=str(error))
        except OSError as error:
            return TransientFailure(reason=f"the structure set's file cannot be read: {error.strerror}")
        contexts = [build_context(stored.sop_class_uid, [uid]) for uid in _transfer_syntaxes(stored)]
        return self._with(peer, contexts, lambda association: _store(association, stored))

    def _with(
        self, peer: Peer, contexts: list[PresentationContext], request: Callable[[Association], Outcome]
    ) -> Outcome:
        entity = _Entity(self._calling_aet)
        entity.acse_timeout = entity.dimse_timeout = self._timeout_s
        entity.network_timeout = entity.connection_timeout = self._timeout_s
        try:
            return _ask(entity, peer, contexts, request)
        except socket.gaierror as error:
            return TransientFailure(reason=f"host name {peer.host} has no address: {error.strerror}")
        finally:
            for opened in entity.opened:
                opened.close()


def _ask(
    entity: AE, peer: Peer, contexts: list[PresentationContext], request: Callable[[Association], Outcome]
) -> Outcome:
    connected: list[evt.Event] = []
    association = entity.associate(
        peer.host,
        peer.port,
        contexts=contexts,
        ae_title=peer.ae_title,
        max_pdu=0,
        evt_handlers=[(evt.EVT_CONN_OPEN, connected.append)],
    )
    if not association.is_established:
        return _not_established(association, peer, is_connected=bool(connected))
    try:
        return request(association)
    except RuntimeError as error:  # pynetdicom: "the association ... must be established"
        log.info("association lost", extra={"host": peer.host, "reason": str(error)})
        return TransientFailure(reason="the association was lost before the request went out")
    finally:
        if association.is_established:
            association.release()


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
        return TransientFailure(reason="no answer to the request: the peer was silent, aborted or went away")
    comment = str(response.ErrorComment) if "ErrorComment" in response else ""
    return outcome_of(int(response.Status), comment=comment)


def _not_established(association: Association, peer: Peer, *, is_connected: bool) -> Outcome:
    where = f"{peer.ae_title} at {peer.host}:{peer.port}"
    if not is_connected:
        return TransientFailure(reason=f"no connection to {where}")
    answer = association.acceptor.primitive
    if answer is None or answer.result is None:
        return TransientFailure(reason=f"{where} did not answer the association request")
    if answer.result == 0:
        return PermanentRefusal(reason=f"{where} does not take {_unaccepted(association)}")
    source, diagnostic = answer.result_source, answer.diagnostic
    why = _REASONS.get((source or 0, diagnostic or 0), f"source {source}, reason {diagnostic}")
    reason = f"{where} rejected the association: {why}"
    return PermanentRefusal(reason=reason) if answer.result == 1 else TransientFailure(reason=reason)


def _unaccepted(association: Association) -> str:
    refused = association.rejected_contexts
    names = sorted({context.abstract_syntax.name for context in refused if context.abstract_syntax})
    if any(context.result == _REJECTED for context in refused):
        return f"{', '.join(names)} (SOP class not supported)"
    syntaxes = sorted({uid.name for context in refused for uid in context.transfer_syntax})
    return f"{', '.join(names)} in {', '.join(syntaxes)} (transfer syntaxes not supported)"
