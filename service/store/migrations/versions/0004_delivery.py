"""Fallbacks, storage commitment, failure notices; destinations in the view as numbers of objects."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DELIVERY_KINDS = ("result", "notice")
DELIVERY_STATES = (
    "held",
    "pending",
    "sending",
    "unconfirmed",
    "confirming",
    "sent",
    "rejected",
    "parked",
    "withdrawn",
)
EVENT_KINDS = (
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
    "note",
    "sent",
    "send failed",
    "send rejected",
    "unconfirmed",
    "confirmed",
    "fallback",
    "notice",
    "done",
    "cancelled",
    "retried",
    "superseded",
    "sent again",
    "conflict",
)
VIEW = """
CREATE VIEW job_status AS
SELECT job.id AS job_id, job.uid, job.version, job.state, job.stage, job.reason, job.series_uid, job.study_uid,
       job.calling_aet AS sender, job.called_aet, job.slice_count AS slices, job.expected_images,
       CASE WHEN job.content_hash IS NOT NULL THEN 'complete'
            WHEN job.reason LIKE 'incomplete:%' THEN 'incomplete'
            WHEN job.state = 'waiting' THEN 'waiting'
            WHEN job.state = 'received' THEN 'receiving'
            ELSE '' END AS completeness,
       {since} AS seconds_since_last_slice,
       job.rule, job.model, job.model_version, job.priority, job.attempts, COALESCE(job.lease_owner, '') AS worker,
       job.received_at, job.last_received_at, job.queued_at, job.started_at, job.finished_at, job.delivered_at,
       job.not_before, job.superseded_by,
       COALESCE((SELECT {destinations} FROM (
           SELECT place, place || ': ' || {states} AS line FROM (
               SELECT destination || CASE kind WHEN 'notice' THEN ' (failure notice)' ELSE '' END AS place,
                      {rank} AS rank,
                      COUNT(*) || ' ' || state || CASE MAX(reason) WHEN '' THEN '' ELSE ' (' || MAX(reason) || ')' END
                          AS part
               FROM delivery
               WHERE delivery.job_id = job.id AND (standby_for = '' OR state NOT IN ('held', 'withdrawn'))
               GROUP BY destination, kind, state
               ORDER BY place, rank) AS parts
           GROUP BY place ORDER BY place) AS lines), '') AS destinations
FROM job
"""
RANK = (
    "CASE state WHEN 'sent' THEN 0 WHEN 'confirming' THEN 1 WHEN 'unconfirmed' THEN 2 WHEN 'sending' THEN 3 "
    "WHEN 'pending' THEN 4 ELSE 5 END"
)
WORDS = {
    "sqlite": {
        "since": "CAST(ROUND((julianday('now') - julianday(job.last_received_at)) * 86400) AS INTEGER)",
        "states": "group_concat(part, ', ')",
        "destinations": "group_concat(line, '; ')",
        "rank": RANK,
    },
    "postgresql": {
        "since": "CAST(ROUND(EXTRACT(EPOCH FROM now() - job.last_received_at)) AS INTEGER)",
        "states": "string_agg(part, ', ' ORDER BY rank)",
        "destinations": "string_agg(line, '; ' ORDER BY place)",
        "rank": RANK,
    },
}


def upgrade() -> None:
    op.execute("DROP VIEW job_status")
    op.add_column("job", sa.Column("notice_due_at", TIME, nullable=True))
    op.add_column("job", sa.Column("notice_decided", sa.Boolean(), server_default=sa.false(), nullable=False))
    for column in (
        sa.Column("kind", sa.String(length=20), server_default="result", nullable=False),
        sa.Column("standby_for", sa.Text(), server_default="", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("unreachable", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("asked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("confirmed_at", TIME, nullable=True),
    ):
        op.add_column("delivery", column)
    _allow(
        "delivery", {"delivery_state": ("state", DELIVERY_STATES), "delivery_kind": ("kind", DELIVERY_KINDS)}
    )
    _allow("job_event", {"event_kind": ("kind", EVENT_KINDS)})
    op.create_table(
        "commitment",
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("delivery_id", ROW_ID, nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("reported_at", TIME, nullable=True),
        sa.Column("failure_reason", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"]),
        sa.PrimaryKeyConstraint("transaction_uid"),
    )
    op.create_index("ix_commitment_delivery_id", "commitment", ["delivery_id"], unique=False)
    op.execute(VIEW.format(**WORDS[op.get_bind().dialect.name]))


def _allow(table: str, checks: dict[str, tuple[str, Sequence[str]]]) -> None:
    """Set which values columns may have; SQLite can do that only by copying the table."""
    rules = {
        name: f"{column} IN ({', '.join(repr(value) for value in values)})"
        for name, (column, values) in checks.items()
    }
    with op.batch_alter_table(table) as batch:
        for name, rule in rules.items():
            if name != "delivery_kind":  # a column of this step's
                batch.drop_constraint(name, type_="check")
            batch.create_check_constraint(name, rule)
