"""Structure sets that are sent back: which received ones are new, whose result they revise, and their artifacts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select

from service.config import JobPurpose
from service.store.database import Database
from service.store.jobs.artifacts import NewArtifact, Origin, add_artifacts
from service.store.jobs.row_mapping import instance_of
from service.store.jobs.transitions import note_once
from service.store.monitoring import event_position
from service.store.records import StoredInstance
from service.store.states import ArtifactRole
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import instance, job

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
POSITION = "returned sets"
AT_ONCE = 2000


class LinkedBy(StrEnum):
    """How a returned set shows which job's result it belongs to."""

    SAME_OBJECT = "the object itself"
    PREDECESSOR = "Predecessor Structure Set Sequence"
    SERIES = "its series"  # drawn on the images that the job contoured, after its result


@dataclass(frozen=True, kw_only=True)
class SetReferences:
    """What a received structure set refers to: itself, its predecessors, and the series it is drawn on."""

    sop_instance_uid: str
    predecessor_uids: Collection[str]
    series_uids: Collection[str]


@dataclass(frozen=True, kw_only=True)
class ReceivedSets:
    """Received structure sets that have not been examined yet, up to a row of the table instance."""

    sets: Sequence[StoredInstance]
    up_to: int


class ReturnedSetRepository:
    """Finds and records returned sets; several processes may do so at once: each set is recorded once per job."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unseen(self) -> ReceivedSets | None:
        """Return the structure sets among the next received instances; None if there are no new instances."""
        with self._database.reading() as connection:
            last = event_position.position(connection, POSITION) or 0
            if not event_position.is_behind(connection, POSITION, instance):
                return None
            rows = connection.execute(
                select(instance).where(instance.c.id > last).order_by(instance.c.id).limit(AT_ONCE)
            ).all()
            ready = event_position.settled(rows, last, instance.c.received_at, self._database.clock())
        if not ready:
            return None
        found = [row for row in ready if row.sop_class_uid == RT_STRUCTURE_SET and row.removed_at is None]
        return ReceivedSets(sets=[instance_of(row) for row in found], up_to=ready[-1].id)

    def job_of(self, received: StoredInstance, references: SetReferences) -> tuple[int, LinkedBy] | None:
        """Return the job whose result a set revises, and how that is known; None if it cannot be told."""
        with self._database.reading() as connection:
            for uids, how in (
                ([references.sop_instance_uid], LinkedBy.SAME_OBJECT),
                (references.predecessor_uids, LinkedBy.PREDECESSOR),
            ):
                found = _job_of_result(connection, uids)
                if found is not None:
                    return found, how
            contoured = (
                select(job.c.id)
                .where(
                    job.c.series_uid.in_(references.series_uids),
                    job.c.study_uid == received.study_uid,
                    job.c.purpose != JobPurpose.SHADOW,
                    job.c.has_result,
                    job.c.finished_at <= received.received_at,
                )
                .order_by(job.c.id.desc())
                .limit(1)
            )
            number = connection.execute(contoured).scalar_one_or_none()
            return None if number is None else (number, LinkedBy.SERIES)

    def keep(self, job_id: int, returned: NewArtifact, how: LinkedBy) -> bool:
        """Record a returned set as the job's artifact; False if it is recorded already."""
        now = self._database.clock()
        with self._database.writing() as connection:
            same = select(artifact.c.id).where(
                artifact.c.job_id == job_id,
                artifact.c.role == ArtifactRole.RETURNED,
                artifact.c.sop_instance_uid == returned.sop_instance_uid,
                artifact.c.sha256 == returned.file.sha256,
            )
            if connection.execute(same).first() is not None:
                return False
            origin = Origin(job_id=job_id, role=ArtifactRole.RETURNED)
            (number,) = add_artifacts(connection, origin, [returned], now)
            note_once(
                connection,
                job_id,
                f"a structure set was sent back, recognised by {how}: artifact {number}",
                now,
            )
            return True

    def seen(self, up_to: int) -> None:
        """Record how far the received instances have been examined."""
        with self._database.writing() as connection:
            event_position.begin(self._database, connection, POSITION, 0)
            if (event_position.position(connection, POSITION) or 0) < up_to:
                event_position.advance(connection, POSITION, up_to)


def _job_of_result(connection: Connection, uids: Collection[str]) -> int | None:
    query = (
        select(artifact.c.job_id)
        .where(artifact.c.sop_instance_uid.in_(uids), artifact.c.role == ArtifactRole.RESULT)
        .order_by(artifact.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none() if uids else None
