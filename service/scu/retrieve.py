"""Fetch series from a peer's archive: C-MOVE and C-GET (PS3.4 C.4.2, C.4.3) in the Study Root model."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext

from service.config import Peer
from service.scu.association import ContextProposal
from service.scu.client import Scu
from service.scu.find import UNCOMPRESSED
from service.scu.outcome import Failure, TransientFailure

STUDY_ROOT_MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
STUDY_ROOT_GET = UID("1.2.840.10008.5.1.4.1.2.2.3")
_PENDING, _SUCCESS, _SOME_FAILED = 0xFF00, 0x0000, 0xB000
_MEANINGS = {  # PS3.4 Table C.4-2 and C.4-3
    0xA701: "it is unable to count the images",
    0xA702: "it is unable to send the images",
    0xA801: "it does not know the destination AE title",
    0xA900: "it does not understand the request",
    0xFE00: "it was cancelled",
}


@dataclass(frozen=True, kw_only=True)
class RetrievalProgress:
    """Progress or result of a retrieval: images that arrived and that failed; the reason is empty if all is well."""

    completed: int = 0
    failed: int = 0
    remaining: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class RetrievedObject:
    """One object received by C-GET, its dataset byte for byte as sent."""

    sop_class_uid: str
    sop_instance_uid: str
    context_sop_class_uid: str
    """Transfer syntax of its presentation context."""
    transfer_syntax_uid: str
    message_id: int
    data_set: memoryview


@dataclass(frozen=True, kw_only=True)
class StoreResponse:
    """The answer to the peer: a status of PS3.4 Table B.2-1, and a comment without patient data."""

    status: int
    comment: str = ""


MOST_CONTEXTS = 128
"""Presentation contexts of one association (PS3.8 9.3.2.2)."""

OnProgress = Callable[[RetrievalProgress], None]
Keep = Callable[[RetrievedObject], StoreResponse]


@dataclass(frozen=True, kw_only=True)
class RequestedSeries:
    """One series in an archive."""

    study_uid: str
    series_uid: str

    def identifier(self) -> Dataset:
        """Return the keys of a retrieval of this series."""
        keys = Dataset()
        keys.QueryRetrieveLevel = "SERIES"
        keys.StudyInstanceUID, keys.SeriesInstanceUID = self.study_uid, self.series_uid
        return keys


def move(
    scu: Scu, peer: Peer, wanted: RequestedSeries, *, to_aet: str, on_progress: OnProgress
) -> RetrievalProgress | Failure:
    """Have the peer send a series to an AE title that it knows; ``on_progress`` is called with each response."""

    def request(association: Association) -> RetrievalProgress | Failure:
        return _followed(
            association.send_c_move(wanted.identifier(), to_aet, STUDY_ROOT_MOVE), peer, on_progress
        )

    return scu.ask(peer, ContextProposal(contexts=[build_context(STUDY_ROOT_MOVE, UNCOMPRESSED)]), request)


def get(
    scu: Scu,
    peer: Peer,
    wanted: RequestedSeries,
    *,
    keep: Keep,
    taken: "AcceptedObjects",
    on_progress: OnProgress,
) -> RetrievalProgress | Failure:
    """Fetch a series on the requesting association; ``keep`` stores each object and returns the response for it."""

    def request(association: Association) -> RetrievalProgress | Failure:
        return _followed(association.send_c_get(wanted.identifier(), STUDY_ROOT_GET), peer, on_progress)

    proposal = ContextProposal(
        contexts=[build_context(STUDY_ROOT_GET, UNCOMPRESSED), *taken.contexts()],
        roles=[build_role(uid, scp_role=True) for uid in taken.classes],
        handlers=[(evt.EVT_C_STORE, lambda event: _hand_on(event, keep))],
    )
    return scu.ask(peer, proposal, request)


@dataclass(frozen=True, kw_only=True)
class AcceptedObjects:
    """The SOP classes accepted by C-GET, the likeliest first, and the compressed transfer syntaxes accepted for CT."""

    sop_classes: Sequence[str]
    compressed: Sequence[str]

    @property
    def classes(self) -> Sequence[str]:
        """The first of the SOP classes, each once.

        An association has at most 128 contexts; one is the C-GET itself, and CT takes several.
        """
        return list(dict.fromkeys(self.sop_classes))[: MOST_CONTEXTS - 1 - len(self.compressed)]

    def contexts(self) -> Iterable[PresentationContext]:
        """Every class uncompressed; for CT also each compressed syntax, in a context of its own."""
        for uid in self.classes:
            yield build_context(uid, UNCOMPRESSED)
        for syntax in self.compressed:
            yield build_context(CTImageStorage, syntax)


def _hand_on(event: evt.Event, keep: Keep) -> Dataset:
    request = event.request
    if not isinstance(request, C_STORE):
        raise TypeError(f"{type(request).__name__} instead of a C-STORE from pynetdicom")
    reply = keep(
        RetrievedObject(
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
            context_sop_class_uid=str(event.context.abstract_syntax),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            message_id=event.message_id,
            data_set=memoryview(b"") if request.DataSet is None else request.DataSet.getbuffer(),
        )
    )
    status = Dataset()
    status.Status = reply.status
    if reply.comment:
        status.ErrorComment = reply.comment[:64]
    return status


def _followed(
    answers: Iterator[tuple[Dataset, Dataset | None]], peer: Peer, on_progress: OnProgress
) -> RetrievalProgress | Failure:
    last = RetrievalProgress()
    for status, _ in answers:
        if "Status" not in status:
            return TransientFailure(
                reason=f"no answer from {peer.ae_title} to the request: it was silent or closed the connection"
            )
        code = int(status.Status)
        last = _counted(status, last, _reason(code, status, peer))
        if code == _PENDING:
            on_progress(last)
    return last


def _counted(status: Dataset, before: RetrievalProgress, reason: str) -> RetrievalProgress:
    """Return the counts of a response; counts that it omits stay unchanged."""

    def number(keyword: str, otherwise: int) -> int:
        value = status.get(keyword)
        return otherwise if value is None else int(value)

    warned = number("NumberOfWarningSuboperations", 0)
    return RetrievalProgress(
        completed=number("NumberOfCompletedSuboperations", before.completed - warned) + warned,
        failed=number("NumberOfFailedSuboperations", before.failed),
        remaining=number("NumberOfRemainingSuboperations", 0),
        reason=reason,
    )


def _reason(code: int, status: Dataset, peer: Peer) -> str:
    if code in (_PENDING, _SUCCESS):
        return ""
    if code == _SOME_FAILED:
        return f"{peer.ae_title} could not send every image"
    comment = f": {status.ErrorComment}" if "ErrorComment" in status else ""
    return f"{peer.ae_title} answered 0x{code:04X}, {_MEANINGS.get(code, 'a failure')}{comment}"
