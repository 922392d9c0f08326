"""The tables of the audit trail, for queries; the migrations create them and the triggers that protect them."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text, text

from service.store.tables.schema import JOB_ID, METADATA, ROW_ID, UtcTime

# The audit trail. Triggers refuse everything except the INSERT of a new row; there is no foreign key to job, so that
# the trail outlives the jobs.
audit_event = Table(
    "audit_event",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("at", UtcTime, nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("outcome", String(2), nullable=False),
    Column("role", String(32), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("address", String(253), nullable=False),
    Column("target", String(128), nullable=False),
    Column("job_id", JOB_ID),
    Column("study_uid", String(64), nullable=False, index=True),
    Column("sop_classes", Text, nullable=False),
    Column("instance_count", Integer, nullable=False),
    Column("patient_id", String(128), nullable=False),
    Column("detail", Text, nullable=False),
    Column("chain", String(64), nullable=False, server_default=""),  # service/store/audit/chain.py
    sqlite_autoincrement=True,
)

# Which events the audit record repository has; a trigger adds a row for each event.
audit_forwarding = Table(
    "audit_forwarding",
    METADATA,
    Column("event_id", ROW_ID, ForeignKey("audit_event.id"), primary_key=True),
    Column("forwarded_at", UtcTime),
)
Index(
    "audit_to_forward",
    audit_forwarding.c.event_id,
    sqlite_where=text("forwarded_at IS NULL"),
    postgresql_where=text("forwarded_at IS NULL"),
)
