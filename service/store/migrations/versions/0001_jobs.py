"""Instances, jobs with their history, deliveries, and the view job_status."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JOB_STATES = (
    "received",
    "waiting",
    "queued",
    "running",
    "delivering",
    "done",
    "refused",
    "failed",
    "parked",
    "cancelled",
    "superseded",
)
OPEN = "state IN ('received', 'waiting')"
CONTOURED = "content_hash IS NOT NULL AND state NOT IN ('superseded', 'cancelled', 'refused')"
VIEW = """
CREATE VIEW job_status AS
SELECT job.id AS job_id, job.uid, job.version, job.state, job.stage, job.reason, job.series_uid, job.study_uid,
       job.calling_aet AS sender, job.called_aet, job.slice_count AS slices,
       {since} AS seconds_since_last_slice,
       job.rule, job.model, job.model_version, job.priority, job.attempts, COALESCE(job.lease_owner, '') AS worker,
       job.received_at, job.last_received_at, job.queued_at, job.started_at, job.finished_at, job.delivered_at,
       job.not_before, job.superseded_by,
       COALESCE((SELECT {join} FROM (
           SELECT destination || ': ' || state || CASE reason WHEN '' THEN '' ELSE ' (' || reason || ')' END AS line
           FROM delivery WHERE delivery.job_id = job.id ORDER BY destination) AS lines), '') AS destinations
FROM job
"""
SINCE = {
    "sqlite": "CAST(ROUND((julianday('now') - julianday(job.last_received_at)) * 86400) AS INTEGER)",
    "postgresql": "CAST(ROUND(EXTRACT(EPOCH FROM now() - job.last_received_at)) AS INTEGER)",
}
JOIN = {"sqlite": "group_concat(line, ', ')", "postgresql": "string_agg(line, ', ')"}


def upgrade() -> None:
    _create_instance()
    _create_job()
    _create_what_belongs_to_a_job()
    dialect = op.get_bind().dialect.name
    op.execute(VIEW.format(since=SINCE[dialect], join=JOIN[dialect]))


def _enum(states: Sequence[str], name: str) -> sa.Enum:
    return sa.Enum(*states, name=name, native_enum=False, create_constraint=True, length=20)


def _create_instance() -> None:
    op.create_table(
        "instance",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("series_uid", sa.String(length=64), nullable=False),
        sa.Column("study_uid", sa.String(length=64), nullable=False),
        sa.Column("modality", sa.String(length=16), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(length=64), nullable=False),
        sa.Column("peer_host", sa.String(length=253), nullable=False),
        sa.Column("path", sa.String(length=255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("header_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("path"),
        sa.UniqueConstraint("sop_instance_uid"),
    )
    op.create_index("ix_instance_series_uid", "instance", ["series_uid"], unique=False)


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", _enum(JOB_STATES, "job_state"), nullable=False),
        sa.Column("stage", sa.String(length=32), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("series_uid", sa.String(length=64), nullable=False),
        sa.Column("study_uid", sa.String(length=64), nullable=False),
        sa.Column("called_aet", sa.String(length=16), nullable=False),
        sa.Column("calling_aet", sa.String(length=16), nullable=False),
        sa.Column("slice_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pass_number", sa.Integer(), server_default="1", nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=True),
        sa.Column("rule", sa.String(length=64), server_default="", nullable=False),
        sa.Column("model", sa.String(length=64), server_default="", nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("lease_number", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_expires_at", TIME, nullable=True),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("last_received_at", TIME, nullable=False),
        sa.Column("queued_at", TIME, nullable=True),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("delivered_at", TIME, nullable=True),
        sa.Column("superseded_by", sa.Integer(), nullable=True),
        sa.Column("result_path", sa.String(length=255), nullable=True),
        sa.Column("result_size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("result_sha256", sa.String(length=64), nullable=True),
        sa.CheckConstraint("(state = 'running') = (lease_owner IS NOT NULL)", name="job_running_has_worker"),
        sa.CheckConstraint(
            "state NOT IN ('delivering', 'done') OR result_path IS NOT NULL", name="job_delivering_has_result"
        ),
        sa.CheckConstraint(
            "state NOT IN ('queued', 'running', 'delivering', 'done', 'failed', 'parked') OR content_hash IS NOT NULL",
            name="job_sealed_has_content",
        ),
        sa.ForeignKeyConstraint(
            ["superseded_by"],
            ["job.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("series_uid", "called_aet", "calling_aet", "version", name="job_version"),
        sa.UniqueConstraint("uid"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "job_content",
        "job",
        ["series_uid", "content_hash", "rule", "model", "model_version", "calling_aet", "pass_number"],
        unique=True,
        sqlite_where=sa.text(CONTOURED),
        postgresql_where=sa.text(CONTOURED),
    )
    op.create_index(
        "job_open",
        "job",
        ["series_uid", "called_aet", "calling_aet"],
        unique=True,
        sqlite_where=sa.text(OPEN),
        postgresql_where=sa.text(OPEN),
    )
    op.create_index("job_state_queued_at", "job", ["state", "queued_at"], unique=False)


def _create_what_belongs_to_a_job() -> None:
    op.create_table(
        "arrival",
        sa.Column("instance_id", ROW_ID, nullable=False),
        sa.Column("called_aet", sa.String(length=16), nullable=False),
        sa.Column("calling_aet", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["instance.id"],
        ),
        sa.PrimaryKeyConstraint("instance_id", "called_aet", "calling_aet"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column(
            "state",
            _enum(("pending", "sending", "sent", "rejected", "parked", "withdrawn"), "delivery_state"),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("lease_number", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_expires_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("sent_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["job.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_id", "destination", "path", name="delivery_once"),
    )
    op.create_index("ix_delivery_state", "delivery", ["state"], unique=False)
    op.create_table(
        "job_event",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column(
            "kind",
            _enum(
                (
                    "opened",
                    "held",
                    "sealed",
                    "claimed",
                    "lease expired",
                    "stage",
                    "postponed",
                    "failed",
                    "parked",
                    "refused",
                    "finished",
                    "sent",
                    "send failed",
                    "send rejected",
                    "done",
                    "cancelled",
                    "retried",
                    "superseded",
                    "sent again",
                    "conflict",
                ),
                "event_kind",
            ),
            nullable=False,
        ),
        sa.Column("from_state", _enum(JOB_STATES, "event_from_state"), nullable=True),
        sa.Column("to_state", _enum(JOB_STATES, "event_to_state"), nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["job.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_job_event_job_id", "job_event", ["job_id"], unique=False)
