"""The table of artifacts, for queries; part of the same METADATA."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from service.store.states import ArtifactKind, ArtifactRole
from service.store.tables.schema import JOB_ID, METADATA, ROW_ID, UtcTime, checked_text

# An object that the node made for a job, or that was sent back. Deliveries refer to it.
artifact = Table(
    "artifact",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("job_id", JOB_ID, ForeignKey("job.id"), nullable=False),
    Column("role", checked_text(ArtifactRole, "artifact_role"), nullable=False),
    Column("kind", checked_text(ArtifactKind, "artifact_kind"), nullable=False),
    Column("path", String(255), nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    # Empty, like model, weights and provenance: not known, because it was made before artifacts were recorded.
    Column("sop_instance_uid", String(64), nullable=False, server_default="", index=True),
    Column("model", String(64), nullable=False, server_default=""),
    Column("model_version", Integer),
    Column("weights_sha256", String(64), nullable=False, server_default=""),
    Column("provenance", JSON, nullable=False, server_default="{}"),
    Column("created_at", UtcTime, nullable=False),
    Column("removed_at", UtcTime),  # by retention: the row stays, the file goes
    Column("verified_at", UtcTime),
    Column("damaged_at", UtcTime),
    UniqueConstraint("job_id", "role", "path", name="artifact_once"),
    Index(
        "artifact_damaged",
        "id",
        sqlite_where=text("damaged_at IS NOT NULL"),
        postgresql_where=text("damaged_at IS NOT NULL"),
    ),
)
