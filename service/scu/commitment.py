"""Storage commitment as SCU (PS3.4 Annex J): asking a peer to keep objects, and reading what it reports."""

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
_PERMANENT = {  # statuses of the N-ACTION that another attempt would get again (PS3.7 Annex C)
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
    """What an N-EVENT-REPORT says: objects that are kept, and Failure Reasons (0008,1197) of those that are not."""

    transaction_uid: str
    kept: frozenset[str]
    failed: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class CommitmentAccepted:
    """The peer took the request; its report came on the same association, or will come on one that it opens."""

    report: CommitmentResult | None


def ask_commitment(
    scu: Scu, peer: Peer, transaction_uid: str, stored: StoredObject, *, wait_s: float
) -> CommitmentAccepted | Failure:
    """Asks the peer to keep an object, and stays for its report for up to ``wait_s``."""
    answered = threading.Event()
    reports: list[CommitmentResult] = []

    def take(event: evt.Event) -> tuple[int, None]:
        report = read_report(event.event_information)
        if report.transaction_uid == transaction_uid:
            reports.append(report)
        return 0x0000, None

    def see_off(event: evt.Event) -> None:
        """Notice that the answer to the report has left; the association must not be released before."""
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
    """Return what the Event Information of a storage commitment says; without a Transaction UID it is empty."""
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
