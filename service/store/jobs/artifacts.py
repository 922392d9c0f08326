"""Artifacts of a job: objects that were made for it, with their deliveries, and those that were sent back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from service.store.deliveries.completion import BETWEEN
from service.store.records import StoredFile
from service.store.states import ArtifactKind, ArtifactRole, DeliveryKind, DeliveryState
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import delivery

DELIVERED_AS = {
    ArtifactRole.RESULT: DeliveryKind.RESULT,
    ArtifactRole.FAILURE_REPORT: DeliveryKind.FAILURE_REPORT,
}


@dataclass(frozen=True, kw_only=True)
class NewArtifact:
    """A durable object made for a job, and the destinations that get it; none where it is only kept.

    `standby` maps each fallback destination to the destinations that it is the fallback for.
    """

    kind: ArtifactKind
    file: StoredFile
    destinations: tuple[str, ...] = ()
    standby: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sop_instance_uid: str = ""
    weights_sha256: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ArtifactStatus:
    """An artifact of a job, for people; it names no patient. An empty text means not known."""

    id: int
    role: ArtifactRole
    kind: ArtifactKind
    path: str
    size_bytes: int
    sha256: str
    sop_instance_uid: str
    model: str
    model_version: int | None
    weights_sha256: str
    provenance: Mapping[str, str]
    created_at: datetime
    removed_at: datetime | None  # by retention: the file is gone
    verified_at: datetime | None
    damaged_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The job that artifacts belong to, their role, and the model that made them; empty if none did."""

    job_id: int
    role: ArtifactRole
    model: str = ""
    model_version: int | None = None


def add_artifacts(
    connection: Connection, origin: Origin, made: Sequence[NewArtifact], now: datetime
) -> list[int]:
    """Record artifacts, each with a delivery for each of its destinations; return their numbers."""
    return [_add(connection, origin, one, now) for one in made]


def read_artifacts(connection: Connection, job_id: int) -> list[ArtifactStatus]:
    """Return the artifacts of a job, in the order in which they were recorded."""
    query = select(artifact).where(artifact.c.job_id == job_id).order_by(artifact.c.id)
    return [_status(row) for row in connection.execute(query)]


def file_of(row: Row[Any]) -> StoredFile:
    """Return the file of a row that has an artifact's columns."""
    return StoredFile(path=row.path, size_bytes=row.size_bytes, sha256=row.sha256)


def _add(connection: Connection, origin: Origin, made: NewArtifact, now: datetime) -> int:
    row = {
        "job_id": origin.job_id,
        "role": origin.role,
        "kind": made.kind,
        "path": made.file.path,
        "size_bytes": made.file.size_bytes,
        "sha256": made.file.sha256,
        "sop_instance_uid": made.sop_instance_uid,
        "model": origin.model,
        "model_version": origin.model_version,
        "weights_sha256": made.weights_sha256,
        "provenance": dict(made.provenance),
        "created_at": now,
    }
    number = int(connection.execute(insert(artifact).values(row).returning(artifact.c.id)).scalar_one())
    rows = [
        {
            "job_id": origin.job_id,
            "artifact_id": number,
            "destination": name,
            "kind": DELIVERED_AS[origin.role],
            "fallback_for": BETWEEN.join(made.standby.get(name, ())),
            "state": DeliveryState.STANDBY if name in made.standby else DeliveryState.PENDING,
            "created_at": now,
        }
        for name in dict.fromkeys((*made.destinations, *made.standby))
    ]
    if rows:
        connection.execute(insert(delivery), rows)
    return number


def _status(row: Row[Any]) -> ArtifactStatus:
    return ArtifactStatus(**{one.name: row._mapping[one.name] for one in fields(ArtifactStatus)})
