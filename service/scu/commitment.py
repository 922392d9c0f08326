"""Storage commitment as SCU (PS3.4 Annex J): ask a peer to commit to objects, and read its reports."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.pdu import P_DATA_TF

from service.config import Peer
from service.scu.association import ContextProposal
from service.scu.client import Scu
from service.scu.outcome import Failure, PermanentRefusal, TransientFailure
from service.scu.part10 import StoredObject

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
_REQUEST = 1  # Action Type ID (PS3.4 J.3.2)
_PERMANENT = {  # N-ACTION statuses that would be the same on another attempt (PS3.7 Annex C)
    0x0112: "no such SOP instance",
    0x0118: "no such SOP class",
    0x0122: "SOP class not supported",
    0x0123: "no such action",
    0x0124: "not authorized",
}
FAILURE_REASONS = {  # PS3.3 C.14.1.1
    0x0110: "processing failure",
    0x0112: "no such object instance",
    0x0119: "class-instance conflict",
    0x0122: "SOP class not supported",
    0x0131: "duplicate transaction UID",
    0x0213: "resource limitation",
}


@dataclass(frozen=True, kw_only=True)
class CommitmentResult:
    """Content of an N-EVENT-REPORT: committed objects, and Failure Reasons (0008,1197) of the others."""

    transaction_uid: str
    kept: frozenset[str]
    failed: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class CommitmentAccepted:
    """The peer accepted the request; its report came on this association, or will come on one that it opens."""

    report: CommitmentResult | None


def ask_commitment(
    scu: Scu, peer: Peer, transaction_uid: str, stored: StoredObject, *, wait_s: float
) -> CommitmentAccepted | Failure:
    """Ask the peer to commit to an object, and wait up to ``wait_s`` for its report."""
    answered = threading.Event()
    reports: list[CommitmentResult] = []

    def take(event: evt.Event) -> tuple[int, None]:
        report = read_report(event.event_information)
        if report.transaction_uid == transaction_uid:
            reports.append(report)
        return 0x0000, None

    def see_off(event: evt.Event) -> None:
        """Note that the response to the report was sent; the association must not be released before that."""
        if reports and isinstance(event.pdu, P_DATA_TF):
            answered.set()

    def request(association: Association) -> CommitmentAccepted | Failure:
        status, _ = association.send_n_action(
            _asked(transaction_uid, stored), _REQUEST, STORAGE_COMMITMENT, PUSH_MODEL_INSTANCE
        )
        failure = _failure(status)
        if failure is not None:
            return failure
        answered.wait(wait_s)
        return CommitmentAccepted(report=reports[0] if reports else None)

    proposal = ContextProposal(
        contexts=[build_context(STORAGE_COMMITMENT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])],
        handlers=[(evt.EVT_N_EVENT_REPORT, take), (evt.EVT_PDU_SENT, see_off)],
    )
    return scu.ask(peer, proposal, request)


def read_report(information: Dataset) -> CommitmentResult:
    """Parse a storage commitment's Event Information; the result is empty without a Transaction UID."""
    return CommitmentResult(
        transaction_uid=str(information.get("TransactionUID", "")),
        kept=frozenset(
            str(item.get("ReferencedSOPInstanceUID", ""))
            for item in information.get("ReferencedSOPSequence", ())
        ),
        failed={
            str(item.get("ReferencedSOPInstanceUID", "")): int(item.get("FailureReason", None) or 0x0110)
            for item in information.get("FailedSOPSequence", ())
        },
    )


def failure_words(reason: int) -> str:
    """Return a Failure Reason (0008,1197) in words."""
    return f"0x{reason:04X} {FAILURE_REASONS.get(reason, 'a reason no standard defines')}"


def _asked(transaction_uid: str, stored: StoredObject) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = stored.sop_class_uid
    item.ReferencedSOPInstanceUID = stored.sop_instance_uid
    asked = Dataset()
    asked.TransactionUID = transaction_uid
    asked.ReferencedSOPSequence = [item]
    return asked


def _failure(status: Dataset) -> Failure | None:
    if "Status" not in status:
        return TransientFailure(reason="no answer to the request for storage commitment")
    code = int(status.Status)
    if code == 0 or code & 0xF000 == 0xB000:
        return None
    comment = f": {status.ErrorComment}" if "ErrorComment" in status else ""
    if code in _PERMANENT:
        return PermanentRefusal(reason=f"0x{code:04X} {_PERMANENT[code]}{comment}")
    return TransientFailure(reason=f"0x{code:04X} to the request for storage commitment{comment}")
