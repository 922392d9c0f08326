"""The tables of the package `monitor`, for queries; part of the same METADATA."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, String, Table, Text, text

from service.store.tables.schema import JOB_ID, METADATA, ROW_ID, UtcTime, instance

role_heartbeat = Table(
    "role_heartbeat",
    METADATA,
    Column("role", String(32), primary_key=True),
    Column("host", String(253), primary_key=True),
    Column("pid", Integer, primary_key=True, autoincrement=False),
    Column("started_at", UtcTime, nullable=False),
    Column("at", UtcTime, nullable=False),
)

# How far a reader of job_event or instance has come.
event_position = Table(
    "event_position",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("last_id", BigInteger, nullable=False),
)

# Counters and histograms by rule or destination (`label`); `bucket` is empty for a counter, else an upper bound, "+Inf"
# or "sum".
metric_counter = Table(
    "metric_counter",
    METADATA,
    Column("family", String(64), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("detail", String(64), primary_key=True),
    Column("bucket", String(16), primary_key=True),
    Column("value", Double, nullable=False),
)

# The alarms that last now, so that the beginning and the end of each are reported once, even across restarts.
alarm = Table(
    "alarm",
    METADATA,
    Column("subject", String(200), primary_key=True),
    Column("event", String(32), nullable=False),
    Column("began_at", UtcTime, nullable=False),
)

# One message to one recipient. No foreign key to job: a job can be removed before its notification is sent.
notification = Table(
    "notification",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("target", String(64), nullable=False),
    Column("event", String(32), nullable=False),
    Column("job_id", JOB_ID),
    Column("rule", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("text", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", UtcTime),
    Column("reason", Text, nullable=False, server_default=""),
    Column("sent_at", UtcTime),
    Index(
        "notification_unsent",
        "target",
        "id",
        sqlite_where=text("sent_at IS NULL"),
        postgresql_where=text("sent_at IS NULL"),
    ),
    Index("notification_sent_at", "target", "sent_at"),
)

Index(
    "instance_damaged",
    instance.c.id,
    sqlite_where=text("damaged_at IS NOT NULL"),
    postgresql_where=text("damaged_at IS NOT NULL"),
)
