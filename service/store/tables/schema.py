"""The tables, for queries; the migrations create them."""

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    false,
    text,
)
from typing_extensions import override

from service.config import JobPurpose
from service.store.states import DeliveryKind, DeliveryState, EventKind, JobState


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time: timestamptz on Postgres, sortable text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def checked_text(states: type[StrEnum], name: str) -> Enum:
    """Return an enum as checked text: readable in plain SQL, and a new value needs no ALTER TYPE."""
    return Enum(
        states,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=20,
        values_callable=lambda members: [member.value for member in members],
    )


METADATA = MetaData()
JOB_ID = Integer()  # short numbers, because people use them
ROW_ID = BigInteger().with_variant(Integer(), "sqlite")  # SQLite increments only INTEGER keys

instance = Table(
    "instance",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("sop_class_uid", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False, index=True),
    Column("study_uid", String(64), nullable=False, index=True),
    Column("modality", String(16), nullable=False),
    Column("transfer_syntax_uid", String(64), nullable=False),
    Column("peer_host", String(253), nullable=False),
    Column("path", String(255), nullable=False, unique=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("header_bytes", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("removed_at", UtcTime),  # by retention: the row stays, the file goes
    Column("verified_at", UtcTime),
    Column("damaged_at", UtcTime),  # the file was found missing or with another checksum
    # An archive that moves a series to another study keeps its UIDs: the study is part of the identity.
    UniqueConstraint("sop_instance_uid", "study_uid", name="instance_once"),
)

job = Table(
    "job",
    METADATA,
    Column("id", JOB_ID, primary_key=True),
    Column("uid", Uuid, nullable=False, unique=True),
    Column("result_uid", Uuid),  # of what is contoured: the UIDs of its results are derived from it
    Column("version", Integer, nullable=False),
    Column("state", checked_text(JobState, "job_state"), nullable=False),
    Column("stage", String(32), nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("series_uid", String(64), nullable=False),
    Column("study_uid", String(64), nullable=False),
    Column("called_aet", String(16), nullable=False),
    Column("calling_aet", String(16), nullable=False),
    Column("slice_count", Integer, nullable=False, server_default="0"),
    Column("expected_images", Integer),  # what the sender says the series has; NULL: nobody said
    Column("pass_number", Integer, nullable=False, server_default="1"),  # counts the reruns ordered by people
    Column("content_hash", String(64)),
    Column("rule", String(64), nullable=False, server_default=""),
    Column(
        "rule_set", ROW_ID
    ),  # the version of the rules that it is contoured by; NULL: before there was one
    Column("model", String(64), nullable=False, server_default=""),
    Column("model_version", Integer),
    Column("priority", Integer),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", UtcTime),
    Column("lease_owner", String(128)),
    Column("lease_number", Integer, nullable=False, server_default="0"),
    Column("lease_expires_at", UtcTime),
    Column("received_at", UtcTime, nullable=False),
    Column("last_received_at", UtcTime, nullable=False),
    Column("queued_at", UtcTime),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("delivered_at", UtcTime),
    Column("superseded_by", JOB_ID, ForeignKey("job.id")),
    Column(
        "set_version", Integer, nullable=False, server_default="1"
    ),  # counts the structure sets of the series that were sent
    # The job whose structure set is replaced by this one's.
    Column("replaces", JOB_ID, ForeignKey("job.id", name="job_replaces")),
    Column("doubt", Text, nullable=False, server_default=""),  # why the series may not be whole
    Column("has_result", Boolean, nullable=False, server_default=false()),
    Column("purpose", checked_text(JobPurpose, "job_purpose"), nullable=False, server_default="clinical"),
    # Of a shadow job: the job with the same images alongside which it runs.
    Column("shadow_of", JOB_ID, ForeignKey("job.id", name="job_shadow_of")),
    # What a person asked for in this version instead of what the rules say; empty: nothing.
    Column("wanted_rule", String(64), nullable=False, server_default=""),
    Column("wanted_model", String(64), nullable=False, server_default=""),
    Column("wanted_model_version", Integer),
    Column(
        "failure_report_due_at", UtcTime
    ),  # when the job failed for good; empty once it is reported or need not be
    Column("failure_report_decided", Boolean, nullable=False, server_default=false()),  # once a job version
    CheckConstraint("(state = 'running') = (lease_owner IS NOT NULL)", name="job_running_has_worker"),
    CheckConstraint(
        "state NOT IN ('queued', 'running', 'delivering', 'done', 'retrying', 'failed') OR content_hash IS NOT NULL",
        name="job_closed_has_content",
    ),
    CheckConstraint("state NOT IN ('delivering', 'done') OR has_result", name="job_delivering_has_result"),
    CheckConstraint("(purpose = 'shadow') = (shadow_of IS NOT NULL)", name="job_shadow_has_its_job"),
    sqlite_autoincrement=True,  # the number of a removed job is never used again
)
# One job per version of a series; shadow jobs run alongside it, one per rule.
Index(
    "job_version",
    job.c.series_uid,
    job.c.study_uid,
    job.c.called_aet,
    job.c.calling_aet,
    job.c.version,
    unique=True,
    sqlite_where=text("purpose <> 'shadow'"),
    postgresql_where=text("purpose <> 'shadow'"),
)
Index("job_shadow", job.c.shadow_of, job.c.rule, unique=True)
# A series of one sender grows into one job at a time.
Index(
    "job_open",
    job.c.series_uid,
    job.c.study_uid,
    job.c.called_aet,
    job.c.calling_aet,
    unique=True,
    sqlite_where=text("state IN ('receiving', 'waiting')"),
    postgresql_where=text("state IN ('receiving', 'waiting')"),
)
# The same images are contoured once for the same requester, unless a person orders a rerun.
Index(
    "job_content",
    job.c.series_uid,
    job.c.study_uid,
    job.c.content_hash,
    job.c.rule,
    job.c.model,
    job.c.model_version,
    job.c.calling_aet,
    job.c.pass_number,
    unique=True,
    sqlite_where=text("content_hash IS NOT NULL AND state NOT IN ('superseded', 'cancelled', 'refused')"),
    postgresql_where=text("content_hash IS NOT NULL AND state NOT IN ('superseded', 'cancelled', 'refused')"),
)
Index("job_state_id", job.c.state, job.c.id)

# The AE titles that an instance came from and to, and the job version it came for: version n of a series has every
# slice of the versions up to n.
instance_source = Table(
    "instance_source",
    METADATA,
    Column("instance_id", ROW_ID, ForeignKey("instance.id"), primary_key=True),
    Column("called_aet", String(16), primary_key=True),
    Column("calling_aet", String(16), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("resent_at", UtcTime),  # kept only while the series is cancelled
)

job_event = Table(
    "job_event",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("job_id", JOB_ID, ForeignKey("job.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", checked_text(EventKind, "event_kind"), nullable=False),
    Column("from_state", checked_text(JobState, "event_from_state")),
    Column("to_state", checked_text(JobState, "event_to_state"), nullable=False),
    Column("message", Text, nullable=False, server_default=""),
    Index("job_event_job_id_id", "job_id", "id"),
)

delivery = Table(
    "delivery",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("job_id", JOB_ID, ForeignKey("job.id"), nullable=False),
    Column("destination", String(64), nullable=False),
    Column("artifact_id", ROW_ID, ForeignKey("artifact.id", name="delivery_artifact"), nullable=False),
    Column("kind", checked_text(DeliveryKind, "delivery_kind"), nullable=False, server_default="result"),
    Column(
        "fallback_for", Text, nullable=False, server_default=""
    ),  # the destinations that it replaces: "tps, pacs"
    Column("state", checked_text(DeliveryState, "delivery_state"), nullable=False, index=True),
    Column("reason", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),  # what the destination said when it took it
    Column("unreachable", Boolean, nullable=False, server_default=false()),  # at the last attempt
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", UtcTime),
    Column("lease_owner", String(128)),
    Column("lease_number", Integer, nullable=False, server_default="0"),
    Column("lease_expires_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column(
        "confirmation_requests", Integer, nullable=False, server_default="0"
    ),  # storage commitment or read-back, since it was sent
    Column("confirmed_at", UtcTime),
    UniqueConstraint("job_id", "destination", "artifact_id", name="delivery_once"),
    Index("delivery_artifact_id", "artifact_id"),
)

# Storage commitment: each request to a destination, and its report.
commitment = Table(
    "commitment",
    METADATA,
    Column("transaction_uid", String(64), primary_key=True),
    Column("delivery_id", ROW_ID, ForeignKey("delivery.id"), nullable=False, index=True),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("reported_at", UtcTime),
    Column("failure_reason", Integer),  # (0008,1197) of the report; absent: it is kept
)

# Files whose rows are marked as removed and that are still to be unlinked.
removal = Table(
    "removal",
    METADATA,
    Column("path", String(255), primary_key=True),
    Column("marked_at", UtcTime, nullable=False),
)
