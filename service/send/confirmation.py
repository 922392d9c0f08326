"""Whether a destination keeps what it took: storage commitment, C-FIND or QIDO-RS."""

from dataclasses import dataclass
from pathlib import Path

from imaging.dicom.uids import derived_uid
from service.config import Confirm, Destination, Peer, WebDestination
from service.scu.client import Scu
from service.scu.commitment import CommitmentResult, ask_commitment, failure_words
from service.scu.outcome import Failure, PermanentRefusal, TransientFailure
from service.scu.part10 import look_at
from service.scu.readback import is_found, place_of
from service.send.stow import is_listed
from service.store import ClaimedDelivery, Outbox

REPORT_WAIT_S = 5.0
"""How long the association of a request stays open for a report; later ones come on an association of the peer's."""
_SEND_AGAIN = frozenset({0x0110, 0x0112, 0x0131, 0x0213})  # PS3.3 C.14.1.1: it does not have it, or not yet


@dataclass(frozen=True, kw_only=True)
class Committed:
    """The destination says that it keeps the object."""

    how: str


@dataclass(frozen=True, kw_only=True)
class Unconfirmed:
    """It was asked and has not said so."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class NotStored:
    """It says that it does not have the object: send it again."""

    reason: str


Confirmation = Committed | Unconfirmed | NotStored | Failure


@dataclass(frozen=True, kw_only=True)
class ConfirmationRequest:
    """One delivery that was sent, and its destination."""

    claim: ClaimedDelivery
    destination: Destination
    path: Path
    timeout_s: float


def confirmation(inquiry: ConfirmationRequest, scu: Scu, outbox: Outbox) -> Confirmation:
    """Returns what the destination says of an object that it took; OSError where the file cannot be read."""
    destination = inquiry.destination
    if destination.confirm is Confirm.NONE:  # the settings have changed since it was sent
        return Committed(how="not asked any more: the settings say confirm = none")
    if destination.confirm is Confirm.COMMITMENT and isinstance(destination, Peer):
        return _commitment(inquiry, destination, scu, outbox)
    place = place_of(look_at(inquiry.path))
    if isinstance(destination, WebDestination):
        found = is_listed(destination, place, timeout_s=inquiry.timeout_s)
    elif isinstance(destination, Peer):
        found = is_found(scu, destination, place)
    else:
        raise AssertionError(f"no query is known for a {type(destination).__name__}")
    if not isinstance(found, bool):
        return _not_confirmable(found)
    return (
        Committed(how="it finds the object")
        if found
        else Unconfirmed(reason="it took the object and does not find it")
    )


def _commitment(inquiry: ConfirmationRequest, peer: Peer, scu: Scu, outbox: Outbox) -> Confirmation:
    claim = inquiry.claim
    reported = outbox.report(claim)
    if reported is not None:
        return _verdict(reported.failure_reason)
    stored = look_at(inquiry.path)
    transaction_uid = derived_uid(
        "storage commitment", str(claim.job_uid), str(claim.id), str(claim.lease_number)
    )
    if not outbox.asking(claim, transaction_uid=transaction_uid, sop_instance_uid=stored.sop_instance_uid):
        return Unconfirmed(reason="another sender has the delivery")
    answer = ask_commitment(scu, peer, transaction_uid, stored, wait_s=min(REPORT_WAIT_S, inquiry.timeout_s))
    if isinstance(answer, TransientFailure | PermanentRefusal):
        return _not_confirmable(answer)
    return _read(answer.report, stored.sop_instance_uid)


def _read(report: CommitmentResult | None, sop_instance_uid: str) -> Confirmation:
    if report is None:
        return Unconfirmed(reason="it was asked to keep the object and has not reported")
    is_kept = sop_instance_uid in report.kept
    return _verdict(None if is_kept else report.failed.get(sop_instance_uid, 0x0110))


def _verdict(failure_reason: int | None) -> Confirmation:
    if failure_reason is None:
        return Committed(how="it commits itself to keep the object")
    words = f"it took the object and does not keep it: {failure_words(failure_reason)}"
    return NotStored(reason=words) if failure_reason in _SEND_AGAIN else PermanentRefusal(reason=words)


def _not_confirmable(failure: Failure) -> Failure:
    if isinstance(failure, PermanentRefusal):
        return PermanentRefusal(
            reason=f"it took the object and cannot be asked whether it keeps it: {failure.reason}"
        )
    return failure
