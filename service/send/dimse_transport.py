"""Delivery by DIMSE: C-STORE, then storage commitment or C-FIND if the destination is to confirm."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from typing_extensions import override

from imaging.dicom.uids import derived_uid
from service.config import Confirm, Peer
from service.scu.client import Scu
from service.scu.commitment import CommitmentResult, ask_commitment, failure_words
from service.scu.outcome import Outcome, PermanentRefusal, TransientFailure
from service.scu.part10 import look_at
from service.scu.readback import is_found, place_of
from service.send.confirmation import (
    Committed,
    Confirmation,
    NotStored,
    Unconfirmed,
    confirmed_by_search,
    not_confirmable,
)
from service.send.transport import Transport
from service.store import ClaimedDelivery, Outbox

REPORT_WAIT_S = 5.0
"""How long a request's association stays open for the report; a later one comes on an association by the peer."""
_SEND_AGAIN = frozenset(
    {0x0110, 0x0112, 0x0131, 0x0213}
)  # PS3.3 C.14.1.1: the peer does not have the object, or not yet


@dataclass(frozen=True, kw_only=True)
class DimseTransport(Transport):
    """Delivery to one DICOM application. Thread-safe."""

    peer: Peer
    scu: Scu
    outbox: Outbox
    timeout_s: float

    @override
    def store(self, path: Path) -> Outcome:
        return self.scu.store(path, self.peer)

    @override
    def confirm(self, claim: ClaimedDelivery, path: Path) -> Confirmation:
        if self.peer.confirm is Confirm.COMMITMENT:
            return self._commitment(claim, path)
        return confirmed_by_search(is_found(self.scu, self.peer, place_of(look_at(path))))

    def _commitment(self, claim: ClaimedDelivery, path: Path) -> Confirmation:
        reported = self.outbox.report(claim)
        if reported is not None:
            return _verdict(reported.failure_reason)
        stored = look_at(path)
        transaction_uid = derived_uid("storage commitment", str(uuid4()))  # each request is a new transaction
        if not self.outbox.asking(
            claim, transaction_uid=transaction_uid, sop_instance_uid=stored.sop_instance_uid
        ):
            return Unconfirmed(reason="another process holds the delivery")
        wait_s = min(REPORT_WAIT_S, self.timeout_s)
        answer = ask_commitment(self.scu, self.peer, transaction_uid, stored, wait_s=wait_s)
        if isinstance(answer, TransientFailure | PermanentRefusal):
            return not_confirmable(answer)
        return _read(answer.report, stored.sop_instance_uid)


def _read(report: CommitmentResult | None, sop_instance_uid: str) -> Confirmation:
    if report is None:
        return Unconfirmed(reason="it was asked for storage commitment and has not reported")
    is_kept = sop_instance_uid in report.kept
    return _verdict(None if is_kept else report.failed.get(sop_instance_uid, 0x0110))


def _verdict(failure_reason: int | None) -> Confirmation:
    if failure_reason is None:
        return Committed(how="it commits to keeping the object")
    words = f"it took the object but does not commit to keeping it: {failure_words(failure_reason)}"
    return NotStored(reason=words) if failure_reason in _SEND_AGAIN else PermanentRefusal(reason=words)
