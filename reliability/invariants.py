"""What must be true of a series once the node is quiet again, whatever happened to it."""

import hashlib
from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread

from reliability.destination import RecordingDestination
from reliability.series import Series, data_set_of
from service.demo.node import ENDED
from service.store import (
    DatabaseUnavailable,
    DeliveryState,
    EventKind,
    JobRepository,
    JobState,
    JobStatus,
)
from service.store.objects import StoredContent

_OVER = frozenset({DeliveryState.SENT, DeliveryState.REJECTED, DeliveryState.FAILED, DeliveryState.WITHDRAWN})
_EARLIER_VERSIONS = frozenset(
    {JobState.DONE, JobState.SUPERSEDED, JobState.REFUSED, JobState.NOTHING_TO_CONTOUR}
)


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What is examined: the node's jobs and content, and the destination."""

    book: JobRepository
    content: StoredContent
    destination: RecordingDestination


def is_settled(book: JobRepository, series_uid: str) -> bool:
    """Tell whether nothing more will happen to a series; False while the database is not available."""
    try:
        jobs = book.list_jobs(series_uid=series_uid)
        return all(job.state in ENDED for job in jobs) and all(
            delivery.state in _OVER for job in jobs for delivery in book.deliveries(job.id)
        )
    except DatabaseUnavailable:
        return False


def violations(sight: Sight, series: Series, *, is_whole: bool) -> list[str]:
    """Return what is wrong with the jobs of a series and with the destination's objects.

    ``is_whole``: all slices were acknowledged.
    """
    jobs = sorted(sight.book.list_jobs(series_uid=series.series_uid), key=lambda job: job.version)
    found = _states(jobs, len(series.slices), is_whole=is_whole)
    results: dict[str, JobStatus] = {}
    for job in jobs:
        found += _history(sight, job)
        found += _delivered(sight, job, results)
    strangers = sight.destination.objects_of(series.series_uid).keys() - results.keys()
    found += [f"the destination has the structure set {uid}, which no job made" for uid in strangers]
    return [f"series {series.series_uid}: {one}" for one in found]


def _states(jobs: list[JobStatus], slice_count: int, *, is_whole: bool) -> list[str]:
    if not jobs:
        return ["it has no job"] if is_whole else []
    *earlier, newest = jobs
    found = [f"version {job.version} is {job.state}" for job in earlier if job.state not in _EARLIER_VERSIONS]
    if newest.state not in ENDED:
        found.append(f"version {newest.version} is stuck in {newest.state}: {newest.reason}")
    elif is_whole and (newest.state, newest.slice_count) != (JobState.DONE, slice_count):
        found.append(
            f"version {newest.version} with {newest.slice_count} of {slice_count} slices ended as {newest.state}: "
            f"{newest.reason}"
        )
    done = [job.slice_count for job in jobs if job.state is JobState.DONE]
    if len(set(done)) < len(done):
        found.append(f"the same slices were contoured twice: done with {done} slices")
    found += [f"version {job.version} is still leased to {job.worker}" for job in jobs if job.worker]
    return found


def _history(sight: Sight, job: JobStatus) -> list[str]:
    kinds = [event.kind for event in sight.book.events(job.id)]
    once = (EventKind.OPENED, EventKind.CLOSED, EventKind.FINISHED, EventKind.SENT, EventKind.DONE)
    return [f"job {job.id} was {kind} {kinds.count(kind)} times" for kind in once if kinds.count(kind) > 1]


def _delivered(sight: Sight, job: JobStatus, results: dict[str, JobStatus]) -> list[str]:
    """Compare what the job made with what the destination has, and note the job under its object's UID."""
    stored = sight.book.result(job.id)
    if stored is None:
        return [f"job {job.id} is done without a structure set"] if job.state is JobState.DONE else []
    data = sight.content.read_whole(stored)
    uid = str(dcmread(BytesIO(data), specific_tags=["SOPInstanceUID"]).SOPInstanceUID)
    results[uid] = job
    sent = sight.destination.objects_of(job.series_uid).get(uid)
    if sent is None:
        return (
            [f"job {job.id} is done, but the destination has nothing"] if job.state is JobState.DONE else []
        )
    made = hashlib.sha256(data_set_of(data)).hexdigest()
    return [] if sent == {made} else [f"the destination has other bytes of {uid} than job {job.id} made"]
