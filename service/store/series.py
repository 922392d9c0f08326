"""The store as the room `assemble` sees it: series that grow into jobs."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import IntegrityError

from service.store.database import Database
from service.store.readers import instances_of, open_job_of
from service.store.rows import OpenJob, StoredInstance
from service.store.schema import job
from service.store.states import FORGOTTEN, OPEN, EventKind, JobState, Sealed
from service.store.transitions import Move, lock, move


class SeriesDesk:
    """Open jobs, and what can be done with them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_jobs(self) -> list[OpenJob]:
        """Give the jobs in state received or waiting, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(job).where(job.c.state.in_(OPEN)).order_by(job.c.id))
            return [open_job_of(row) for row in rows]

    def instances_of(self, job_id: int) -> list[StoredInstance]:
        """Give the instances of this version of the job, by SOP Instance UID; the same for ever once sealed."""
        with self._database.reading() as connection:
            return instances_of(connection, job_id)

    def hold(self, job_id: int, reason: str) -> bool:
        """Say what the job waits for (state waiting); an event only when the reason is another."""
        with self._database.writing() as connection:
            row = lock(connection, job_id)
            if row is None or row.state not in OPEN:
                return False
            if row.state is JobState.WAITING and row.reason == reason:
                return True
            step = Move(to=JobState.WAITING, kind=EventKind.HELD, sources=OPEN, message=reason)
            return move(connection, row, step, self._database.clock(), reason=reason)

    def seal(self, seen: OpenJob, *, rule: str, model: str, model_version: int, priority: int) -> Sealed:
        """Queue the job with exactly the slices that it was seen with.

        CHANGED: a slice came or the state moved meanwhile, look again. ALREADY_CONTOURED: the same images were
        contoured for the same sender by the same rule and model; the job is now superseded by that one.
        """
        order: dict[str, Any] = {"rule": rule, "model": model, "model_version": model_version}
        with self._database.writing() as connection:
            row = lock(connection, seen.id)
            if row is None or row.slice_count != seen.slice_count:
                return Sealed.CHANGED
            order["content_hash"] = _content_hash(instances_of(connection, seen.id))
            return self._queue(connection, row, order, priority)

    def refuse(self, job_id: int, reason: str) -> bool:
        """End an open job with the reason in plain words."""
        with self._database.writing() as connection:
            row = lock(connection, job_id)
            step = Move(to=JobState.REFUSED, kind=EventKind.REFUSED, sources=OPEN, message=reason)
            return row is not None and move(connection, row, step, self._database.clock(), reason=reason)

    def _queue(
        self, connection: Connection, row: Row[Any], order: Mapping[str, Any], priority: int
    ) -> Sealed:
        now = self._database.clock()
        message = (
            f"{row.slice_count} images, rule {order['rule']}, model {order['model']} {order['model_version']}"
        )
        step = Move(to=JobState.QUEUED, kind=EventKind.SEALED, sources=OPEN, message=message)
        try:
            with connection.begin_nested():
                moved = move(connection, row, step, now, **order, priority=priority, queued_at=now, reason="")
        except IntegrityError:  # of the index job_content
            return self._give_way(connection, row, order)
        return Sealed.QUEUED if moved else Sealed.CHANGED

    def _give_way(self, connection: Connection, row: Row[Any], order: Mapping[str, Any]) -> Sealed:
        """Supersede the job by the one that already contours, or contoured, the same images."""
        same = [job.c[name] == value for name, value in order.items()]
        earlier = connection.execute(
            select(job.c.id).where(
                *same,
                job.c.series_uid == row.series_uid,
                job.c.calling_aet == row.calling_aet,
                job.c.pass_number == row.pass_number,
                job.c.state.not_in(FORGOTTEN),
            )
        ).scalar_one()
        reason = f"job {earlier} has the same images, rule and model"
        step = Move(to=JobState.SUPERSEDED, kind=EventKind.SUPERSEDED, sources=OPEN, message=reason)
        move(connection, row, step, self._database.clock(), reason=reason, superseded_by=earlier)
        return Sealed.ALREADY_CONTOURED


def _content_hash(instances: Sequence[StoredInstance]) -> str:
    """Name the images of a job by their UIDs and bytes, whatever their order."""
    lines = sorted(f"{instance.sop_instance_uid} {instance.file.sha256}\n" for instance in instances)
    return hashlib.sha256("".join(lines).encode("ascii")).hexdigest()
