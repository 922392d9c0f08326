"""The store's interface for the role `assemble`: series that grow into jobs."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.exc import IntegrityError

from service.config import JobPurpose
from service.store.database import Database
from service.store.jobs.integrity import mark_damaged
from service.store.jobs.replacement import replacement
from service.store.jobs.row_mapping import instances_of, open_job_of
from service.store.jobs.series_facts import SeriesHeader, record_series
from service.store.jobs.shadow_jobs import open_shadow_jobs
from service.store.jobs.split_series import elsewhere, merge
from service.store.jobs.study_series import series_of
from service.store.jobs.transitions import Transition, lock, move, note_once
from service.store.jobs.versions import result_uid
from service.store.records import (
    CONTOURED_SOP_CLASSES,
    ContouringOrder,
    Elsewhere,
    OpenJob,
    StoredInstance,
    StudySeries,
)
from service.store.states import FORGOTTEN, OPEN, CloseOutcome, EventKind, JobState
from service.store.tables.schema import instance, job


class SeriesRepository:
    """Open jobs, and what can be done with them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_jobs(self) -> list[OpenJob]:
        """Return the jobs in state receiving or waiting, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(job).where(job.c.state.in_(OPEN)))
            # Sorted here: if asked for an order, SQLite goes through every job there ever was.
            return sorted((open_job_of(row) for row in rows), key=lambda one: one.id)

    def instances_of(self, job_id: int) -> list[StoredInstance]:
        """Return the instances of this version of the job, by SOP Instance UID; always the same once it is closed."""
        with self._database.reading() as connection:
            return instances_of(connection, job_id)

    def set_waiting(self, job_id: int, reason: str) -> bool:
        """Record what the job waits for (state waiting); it is an event only if the reason has changed."""
        with self._database.writing() as connection:
            row = lock(connection, job_id)
            if row is None or row.state not in OPEN:
                return False
            if row.state is JobState.WAITING and row.reason == reason:
                return True
            step = Transition(to=JobState.WAITING, kind=EventKind.WAITING, sources=OPEN, message=reason)
            return move(connection, row, step, self._database.clock(), reason=reason)

    def others_in_series(self, study_uid: str, series_uid: str) -> int:
        """Return the number of recorded objects of a series that are not CT or MR images."""
        query = select(func.count()).where(
            instance.c.series_uid == series_uid,
            instance.c.study_uid == study_uid,
            instance.c.sop_class_uid.not_in(CONTOURED_SOP_CLASSES),
            instance.c.removed_at.is_(None),
        )
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def series_of_study(self, study_uid: str) -> list[StudySeries]:
        """Return every series of a study of which anything was received, CT or not, by its UID."""
        with self._database.reading() as connection:
            return series_of(connection, study_uid)

    def expect(self, job_id: int, images: int) -> None:
        """Record how many images the series has, according to the sender."""
        with self._database.writing() as connection:
            connection.execute(update(job).where(job.c.id == job_id).values(expected_images=images))

    def close_series(
        self, seen: OpenJob, order: ContouringOrder, shadows: Sequence[ContouringOrder] = ()
    ) -> CloseOutcome:
        """Queue the job with exactly the slices it was seen with, and a shadow job for each of `shadows`.

        CHANGED: a slice arrived or the state changed meanwhile; look again. ALREADY_CONTOURED: another job contours
        the same images for the same sender by the same rule and model; this job is now superseded by that one.
        """
        with self._database.writing() as connection:
            row = lock(connection, seen.id)
            if row is None or row.slice_count != seen.slice_count:
                return CloseOutcome.CHANGED
            content_hash = _content_hash(instances_of(connection, seen.id))
            outcome = self._queue(connection, row, order, content_hash)
            if outcome is CloseOutcome.QUEUED:
                open_shadow_jobs(self._database, connection, row, content_hash, shadows)
            return outcome

    def refuse(self, seen: OpenJob, reason: str, *, rule: str = "", rule_set: int | None = None) -> bool:
        """End an open job with the reason in plain words; ``rule`` and its version name who gets the failure report.

        False, and nothing is done: a slice arrived or the state changed meanwhile; look again.
        """
        step = Transition(to=JobState.REFUSED, kind=EventKind.REFUSED, sources=OPEN, message=reason)
        return self._end(seen, step, reason=reason, rule=rule, rule_set=rule_set)

    def nothing_to_contour(self, seen: OpenJob, reason: str) -> bool:
        """End an open job that needs no contours; this is not a failure and not reported. False as in refuse()."""
        kind, state = EventKind.NOTHING_TO_CONTOUR, JobState.NOTHING_TO_CONTOUR
        return self._end(seen, Transition(to=state, kind=kind, sources=OPEN, message=reason), reason=reason)

    def give_way(self, seen: OpenJob, to: int, reason: str) -> bool:
        """End an open job in favour of another one that has all of its images. False as in refuse()."""
        step = Transition(to=JobState.SUPERSEDED, kind=EventKind.SUPERSEDED, sources=OPEN, message=reason)
        return self._end(seen, step, reason=reason, superseded_by=to)

    def elsewhere(self, seen: OpenJob) -> list[Elsewhere]:
        """Return the images of the job's series that came from or to another AE title and that the job lacks."""
        with self._database.reading() as connection:
            return elsewhere(connection, seen)

    def merge(self, seen: OpenJob) -> int:
        """Add to the job every image of its series that came from or to another AE title; return their number."""
        with self._database.writing() as connection:
            return merge(self._database, connection, seen)

    def record_series(self, header: SeriesHeader) -> None:
        """Record what a series says of itself, in place of what it said before."""
        record_series(self._database, header)

    def note(self, job_id: int, message: str) -> None:
        """Add a note to a job's history, unless it is there already."""
        with self._database.writing() as connection:
            note_once(connection, job_id, message, self._database.clock())

    def _end(self, seen: OpenJob, step: Transition, **values: Any) -> bool:
        with self._database.writing() as connection:
            row = lock(connection, seen.id)
            if row is None or row.slice_count != seen.slice_count:
                return False
            return move(connection, row, step, self._database.clock(), **values)

    def damaged(self, path: str) -> None:
        """Mark an image's stored file as damaged: an image sent again replaces it."""
        mark_damaged(self._database, [path])

    def _queue(
        self, connection: Connection, row: Row[Any], order: ContouringOrder, content_hash: str
    ) -> CloseOutcome:
        now = self._database.clock()
        contoured_by: dict[str, Any] = {
            "rule": order.rule,
            "model": order.model,
            "model_version": order.model_version,
            "content_hash": content_hash,
        }
        message = f"{row.slice_count} images, rule {order.rule}, model {order.model} {order.model_version}"
        if order.rule_set is not None:
            message += f", version {order.rule_set} of the rules"
        if order.note:
            message += f"; {order.note}"
        step = Transition(to=JobState.QUEUED, kind=EventKind.CLOSED, sources=OPEN, message=message)
        try:
            with connection.begin_nested():
                moved = move(
                    connection,
                    row,
                    step,
                    now,
                    **contoured_by,
                    **replacement(connection, row, order.rule),
                    priority=order.priority,
                    rule_set=order.rule_set,
                    purpose=order.purpose,
                    doubt=order.doubt,
                    queued_at=now,
                    result_uid=result_uid(row, content_hash, order),
                    reason="",
                )
        except IntegrityError:  # of the index job_content
            return self._supersede_duplicate(connection, row, contoured_by)
        return CloseOutcome.QUEUED if moved else CloseOutcome.CHANGED

    def _supersede_duplicate(
        self, connection: Connection, row: Row[Any], contoured_by: Mapping[str, Any]
    ) -> CloseOutcome:
        """Supersede the job by the one that already contours, or contoured, the same images."""
        same = [job.c[name] == value for name, value in contoured_by.items()]
        earlier = connection.execute(
            select(job.c.id).where(
                *same,
                job.c.series_uid == row.series_uid,
                job.c.study_uid == row.study_uid,
                job.c.calling_aet == row.calling_aet,
                job.c.pass_number == row.pass_number,
                job.c.state.not_in(FORGOTTEN),
                job.c.purpose != JobPurpose.SHADOW,
            )
        ).scalar_one()
        reason = f"job {earlier} has the same images, rule and model"
        step = Transition(to=JobState.SUPERSEDED, kind=EventKind.SUPERSEDED, sources=OPEN, message=reason)
        move(connection, row, step, self._database.clock(), reason=reason, superseded_by=earlier)
        return CloseOutcome.ALREADY_CONTOURED


def _content_hash(instances: Sequence[StoredInstance]) -> str:
    """Return a hash of the images of a job, by their UIDs and bytes, whatever their order."""
    lines = sorted(f"{instance.sop_instance_uid} {instance.file.sha256}\n" for instance in instances)
    return hashlib.sha256("".join(lines).encode("ascii")).hexdigest()
