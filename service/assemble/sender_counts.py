"""The number of images that a series has at its sender, queried in the background with a time limit."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from service.config import Peer, Settings
from service.scu.outcome import Failure, TransientFailure
from service.store import Clock, OpenJob

COUNT_TIMEOUT_S = 5.0
"""Time for a sender to accept a connection, and to answer the query."""
COUNT_EVERY_S = 60.0
"""Shortest time between two such queries about one series."""

Ask = Callable[[Peer, str, str], int | Failure]
"""Queries a peer for the number of images in a series (study UID, series UID)."""


@dataclass(frozen=True, kw_only=True)
class ImageCount:
    """A series' number of images, or why it is not known; both empty if no peer can be queried."""

    images: int | None = None
    why_not: str = ""


@dataclass(frozen=True, kw_only=True)
class _Inquiry:
    asked_at: datetime
    answer: "Future[int | Failure]"
    before: ImageCount | None = None  # the answer to the previous query


class SenderCounts:
    """Queries peers that answer queries, one query at a time per peer, so that a slow peer delays no other."""

    def __init__(
        self, ask: Ask, peers: Mapping[str, Peer], clock: Clock, *, every_s: float, patience_s: float
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._every = timedelta(seconds=every_s)
        self._patience = timedelta(seconds=patience_s)
        self._peers = {peer.ae_title: peer for peer in peers.values() if peer.answers_queries}
        self._askers = {
            title: ThreadPoolExecutor(1, thread_name_prefix=f"count {title}") for title in self._peers
        }
        self._inquiries: dict[int, _Inquiry] = {}
        self._failures: dict[str, tuple[datetime, Failure]] = {}
        self._lock = threading.Lock()

    def of(self, job: OpenJob) -> ImageCount | None:
        """Return the sender's count, queried again after a while; None while the first query is running."""
        peer = self._peers.get(job.calling_aet)
        if peer is None:
            return ImageCount()
        now = self._clock()
        inquiry = self._inquiries.get(job.id)
        if inquiry is None or (inquiry.answer.done() and now - inquiry.asked_at >= self._every):
            before = None if inquiry is None else _count(inquiry.answer.result())
            answer = self._askers[peer.ae_title].submit(self._inquire, peer, job)
            inquiry = self._inquiries[job.id] = _Inquiry(asked_at=now, answer=answer, before=before)
        if not inquiry.answer.done():
            if inquiry.before is not None:
                return inquiry.before
            if now - inquiry.asked_at < self._patience:
                return None
            return ImageCount(why_not=f"{peer.ae_title} has not answered yet")
        return _count(inquiry.answer.result())

    def keep_only(self, job_ids: set[int]) -> None:
        """Forget the counts of all other jobs."""
        self._inquiries = {job_id: asked for job_id, asked in self._inquiries.items() if job_id in job_ids}

    def close(self) -> None:
        """Start no more queries; a running query ends by its own time limit."""
        for asker in self._askers.values():
            asker.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _inquire(self, peer: Peer, job: OpenJob) -> int | Failure:
        """Query the peer, unless it could not be reached a moment ago for another series."""
        with self._lock:
            failed = self._failures.get(peer.ae_title)
        if failed is not None and self._clock() - failed[0] < self._every:
            return failed[1]
        answer = self._ask(peer, job.study_uid, job.series_uid)
        if isinstance(answer, TransientFailure):
            with self._lock:
                self._failures[peer.ae_title] = (self._clock(), answer)
        return answer


def _count(answer: int | Failure) -> ImageCount:
    return ImageCount(images=answer) if isinstance(answer, int) else ImageCount(why_not=answer.reason)


def sender_counts(settings: Settings) -> SenderCounts:
    """Return the object with which the assembler queries how many images a series has at its sender."""
    from service.assemble.silence import steady_clock
    from service.scu.client import Scu
    from service.scu.find import count_images

    timeout_s = COUNT_TIMEOUT_S
    client = Scu(calling_aet=settings.send.ae_title, timeout_s=timeout_s)
    return SenderCounts(
        lambda peer, study, series: count_images(client, peer, study_uid=study, series_uid=series),
        settings.dicom_peers,
        steady_clock,
        every_s=COUNT_EVERY_S,
        patience_s=2 * timeout_s,
    )
