"""The view of jobs for administrators, for queries."""

from sqlalchemy import Column, Integer, MetaData, String, Table, Text, Uuid

from service.config import JobPurpose
from service.store.states import JobState
from service.store.tables.schema import JOB_ID, UtcTime, checked_text

# The view for administrators, made by the migrations; not part of METADATA because nothing creates it from here.
job_status = Table(
    "job_status",
    MetaData(),
    Column("job_id", JOB_ID),
    Column("uid", Uuid),
    Column("version", Integer),
    Column("state", checked_text(JobState, "job_state")),
    Column("stage", String),
    Column("reason", Text),
    Column("series_uid", String),
    Column("study_uid", String),
    Column("sender", String),
    Column("called_aet", String),
    Column("slices", Integer),
    Column("expected_images", Integer),
    Column("completeness", String),
    Column("rule", String),
    Column("model", String),
    Column("model_version", Integer),
    Column("priority", Integer),
    Column("attempts", Integer),
    Column("worker", String),
    Column("received_at", UtcTime),
    Column("last_received_at", UtcTime),
    Column("queued_at", UtcTime),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("delivered_at", UtcTime),
    Column("not_before", UtcTime),
    Column("superseded_by", Integer),
    Column("purpose", checked_text(JobPurpose, "job_purpose")),
    Column("shadow_of", Integer),
    Column("destinations", Text),
)
