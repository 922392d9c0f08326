"""The words of docs/glossary.md for states, events, tables and columns.

Texts of events and audit entries stay as they were written.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

JOB_STATES = (
    "receiving",
    "waiting",
    "queued",
    "running",
    "delivering",
    "done",
    "refused",
    "nothing_to_contour",
    "retrying",
    "failed",
    "cancelled",
    "superseded",
)
DELIVERY_STATES = (
    "standby",
    "pending",
    "sending",
    "unconfirmed",
    "confirming",
    "sent",
    "rejected",
    "failed",
    "withdrawn",
)
DELIVERY_KINDS = ("result", "failure_report")
EVENT_KINDS = (
    "opened",
    "waiting",
    "closed",
    "claimed",
    "lease expired",
    "stage",
    "postponed",
    "retrying",
    "failed",
    "refused",
    "nothing to contour",
    "finished",
    "note",
    "sent",
    "send failed",
    "send rejected",
    "unconfirmed",
    "confirmed",
    "fallback",
    "failure report",
    "done",
    "cancelled",
    "retried",
    "superseded",
    "sent again",
    "conflict",
)
# Old word, new word; in an order in which no new word is an old one that is still to be changed.
JOB_WORDS = {"received": "receiving", "failed": "retrying", "parked": "failed"}
DELIVERY_WORDS = {"held": "standby", "parked": "failed"}
KIND_WORDS = {"notice": "failure_report"}
EVENT_WORDS = {
    "held": "waiting",
    "sealed": "closed",
    "failed": "retrying",
    "parked": "failed",
    "notice": "failure report",
}
ROLE_WORDS = {"keep": "retention", "watch": "monitor"}
POSITION_WORDS = {
    "tally events": "metric events",
    "tally images": "metric images",
    "notices": "notifications",
}

TABLES = {
    "arrival": "instance_source",
    "watch_cursor": "event_position",
    "tally": "metric_counter",
    "notice": "notification",
}
COLUMNS = (
    ("instance_source", "came_again_at", "resent_at"),
    ("delivery", "standby_for", "fallback_for"),
    ("delivery", "asked", "confirmation_requests"),
    ("commitment", "asked_at", "requested_at"),
    ("job", "notice_due_at", "failure_report_due_at"),
    ("job", "notice_decided", "failure_report_decided"),
)
HAS_CONTENT = "state NOT IN ('queued', 'running', 'delivering', 'done', 'retrying', 'failed') OR content_hash IS NOT NULL"
# Of each table: the constraint before, the constraint after, and its rule.
CHECKS = {
    "job": (
        ("job_state", "job_state", ("state", JOB_STATES)),
        ("job_sealed_has_content", "job_closed_has_content", HAS_CONTENT),
    ),
    "job_event": (
        ("event_kind", "event_kind", ("kind", EVENT_KINDS)),
        ("event_from_state", "event_from_state", ("from_state", JOB_STATES)),
        ("event_to_state", "event_to_state", ("to_state", JOB_STATES)),
    ),
    "delivery": (
        ("delivery_state", "delivery_state", ("state", DELIVERY_STATES)),
        ("delivery_kind", "delivery_kind", ("kind", DELIVERY_KINDS)),
    ),
}
INDEXES = {
    "job_open": ("state IN ('receiving', 'waiting')", ("called_aet", "calling_aet")),
    "job_content": (
        "content_hash IS NOT NULL AND state NOT IN ('superseded', 'cancelled', 'refused')",
        ("content_hash", "rule", "model", "model_version", "calling_aet", "pass_number"),
    ),
}
VIEW = """
CREATE VIEW job_status AS
SELECT job.id AS job_id, job.uid, job.version, job.state, job.stage, job.reason, job.series_uid, job.study_uid,
       job.calling_aet AS sender, job.called_aet, job.slice_count AS slices, job.expected_images,
       CASE WHEN job.content_hash IS NOT NULL THEN 'complete'
            WHEN job.reason LIKE 'incomplete:%' THEN 'incomplete'
            WHEN job.state IN ('receiving', 'waiting') THEN job.state
            ELSE '' END AS completeness,
       {since} AS seconds_since_last_slice,
       job.rule, job.model, job.model_version, job.priority, job.attempts, COALESCE(job.lease_owner, '') AS worker,
       job.received_at, job.last_received_at, job.queued_at, job.started_at, job.finished_at, job.delivered_at,
       job.not_before, job.superseded_by,
       COALESCE((SELECT {destinations} FROM (
           SELECT place, place || ': ' || {states} AS line FROM (
               SELECT destination || CASE kind WHEN 'failure_report' THEN ' (failure report)' ELSE '' END AS place,
                      CASE state WHEN 'sent' THEN 0 WHEN 'confirming' THEN 1 WHEN 'unconfirmed' THEN 2
                                 WHEN 'sending' THEN 3 WHEN 'pending' THEN 4 ELSE 5 END AS rank,
                      COUNT(*) || ' ' || state || CASE MAX(reason) WHEN '' THEN '' ELSE ' (' || MAX(reason) || ')' END
                          AS part
               FROM delivery
               WHERE delivery.job_id = job.id AND (fallback_for = '' OR state NOT IN ('standby', 'withdrawn'))
               GROUP BY destination, kind, state
               ORDER BY place, rank) AS parts
           GROUP BY place ORDER BY place) AS lines), '') AS destinations
FROM job
"""
DIALECTS = {
    "sqlite": {
        "since": "CAST(ROUND((julianday('now') - julianday(job.last_received_at)) * 86400) AS INTEGER)",
        "states": "group_concat(part, ', ')",
        "destinations": "group_concat(line, '; ')",
    },
    "postgresql": {
        "since": "CAST(ROUND(EXTRACT(EPOCH FROM now() - job.last_received_at)) AS INTEGER)",
        "states": "string_agg(part, ', ' ORDER BY rank)",
        "destinations": "string_agg(line, '; ' ORDER BY place)",
    },
}


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    op.execute("DROP VIEW job_status")
    for name in INDEXES:
        op.drop_index(name, table_name="job")
    _rename_tables_and_columns()
    _change_words()
    for name, (condition, columns) in INDEXES.items():
        op.create_index(
            name,
            "job",
            ["series_uid", "study_uid", *columns],
            unique=True,
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )
    op.execute(VIEW.format(**DIALECTS[dialect]))


def _rename_tables_and_columns() -> None:
    for name in ("notice_unsent", "notice_sent_at"):
        op.drop_index(name, table_name="notice")
    for old, new in TABLES.items():
        op.rename_table(old, new)
    for table, old, new in COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    if op.get_bind().dialect.name == "postgresql":  # names that SQLite does not have
        for old, new in TABLES.items():
            op.execute(f"ALTER INDEX {old}_pkey RENAME TO {new}_pkey")
        op.execute("ALTER SEQUENCE notice_id_seq RENAME TO notification_id_seq")
        op.execute(
            "ALTER TABLE instance_source RENAME CONSTRAINT arrival_instance_id_fkey TO instance_source_instance_id_fkey"
        )
    unsent = sa.text("sent_at IS NULL")
    op.create_index(
        "notification_unsent",
        "notification",
        ["target", "id"],
        sqlite_where=unsent,
        postgresql_where=unsent,
    )
    op.create_index("notification_sent_at", "notification", ["target", "sent_at"])


def _change_words() -> None:
    """Change the values between the old constraints and the new ones; SQLite changes these by copying the table."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if is_sqlite:
        op.execute("PRAGMA ignore_check_constraints = ON")
    else:
        for table, checks in CHECKS.items():
            for old, _, _ in checks:
                op.drop_constraint(old, table, type_="check")
    _change_values()
    for table, checks in CHECKS.items():
        kept = {"sqlite_autoincrement": True} if table == "job" else {}
        with op.batch_alter_table(table, table_kwargs=kept) as batch:
            for old, new, rule in checks:
                if is_sqlite:
                    batch.drop_constraint(old, type_="check")
                batch.create_check_constraint(new, rule if isinstance(rule, str) else _one_of(*rule))
    if is_sqlite:
        op.execute("PRAGMA ignore_check_constraints = OFF")


def _change_values() -> None:
    _change("job", "state", JOB_WORDS)
    for column in ("from_state", "to_state"):
        _change("job_event", column, JOB_WORDS)
    _change("job_event", "kind", EVENT_WORDS)
    _change("delivery", "state", DELIVERY_WORDS)
    _change("delivery", "kind", KIND_WORDS)
    for old, new in EVENT_WORDS.items():  # one after the other: the word is a part of the key
        _change("metric_counter", "detail", {old: new}, family="job_events")
    _change("notification", "event", {"parked": "failed"})
    _change("notification", "state", JOB_WORDS)
    _change("event_position", "name", POSITION_WORDS)
    _change("role_heartbeat", "role", ROLE_WORDS)


def _change(table: str, column: str, words: Mapping[str, str], **equal: str) -> None:
    of = sa.table(table, sa.column(column), *map(sa.column, equal))
    new = sa.case(words, value=of.c[column])
    change = sa.update(of).where(
        of.c[column].in_(words), *(of.c[name] == value for name, value in equal.items())
    )
    op.execute(change.values({column: new}))


def _one_of(column: str, values: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"
