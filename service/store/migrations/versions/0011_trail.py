"""The audit trail takes nothing but new rows, and each holds a hash of itself and of the one before it."""

import hashlib
import json
from datetime import UTC

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

LINKED = "id, at, kind, outcome, role, actor, address, target, job_id, study_uid, sop_classes, instance_count, patient_id, detail"
AT_ONCE = 1000
# REPLACE removes the old row without firing its DELETE trigger, but it inserts: a number that was given is refused.
NEW_ROWS_ALONE = (
    "CREATE TRIGGER audit_event_is_new BEFORE INSERT ON audit_event "
    "WHEN NEW.id > 0 AND NEW.id <= (SELECT coalesce(max(id), 0) FROM audit_event) "
    "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
)
STAYS = (
    "CREATE TRIGGER audit_event_stays BEFORE UPDATE ON audit_event "
    "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
)
POSTGRES = (
    # ALWAYS: session_replication_role does not turn them off. UPDATE (id) is what a foreign key needs to lock a row.
    "ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_stays",
    "ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_is_kept",
    "ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_is_forwarded",
    "REVOKE UPDATE, DELETE, TRUNCATE ON audit_event FROM PUBLIC, CURRENT_USER",
    "GRANT UPDATE (id) ON audit_event TO CURRENT_USER",
)


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.add_column("audit_event", sa.Column("chain", sa.String(length=64), nullable=False, server_default=""))
    op.execute(
        "DROP TRIGGER audit_event_stays"
        if is_sqlite
        else "ALTER TABLE audit_event DISABLE TRIGGER audit_event_stays"
    )
    _link_what_is_there()
    for statement in (STAYS, NEW_ROWS_ALONE) if is_sqlite else POSTGRES:
        op.execute(statement)


def _link_what_is_there() -> None:
    connection = op.get_bind()
    columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in LINKED.split(", ")]
    columns[1] = sa.column("at", sa.DateTime(timezone=True))
    after, chain = 0, ""
    while True:
        query = sa.select(*columns).select_from(sa.table("audit_event")).where(sa.column("id") > after)
        rows = connection.execute(query.order_by(sa.column("id")).limit(AT_ONCE)).all()
        links = []
        for row in rows:
            at = row.at.replace(tzinfo=UTC) if row.at.tzinfo is None else row.at.astimezone(UTC)
            values = [row.id, at.isoformat(timespec="microseconds"), *row[2:]]
            words = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
            chain = hashlib.sha256(f"{chain}\n{words}".encode("ascii")).hexdigest()
            links.append({"number": row.id, "link": chain})
        if not rows:
            return
        connection.execute(sa.text("UPDATE audit_event SET chain = :link WHERE id = :number"), links)
        after = rows[-1].id
