"""How many images the sender says a series has, how complete a job is in one word, and slices that came again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

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
    op.execute("DROP VIEW job_status")
    op.add_column("job", sa.Column("expected_images", sa.Integer(), nullable=True))
    op.add_column("arrival", sa.Column("came_again_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_instance_study_uid", "instance", ["study_uid"], unique=False)
    dialect = op.get_bind().dialect.name
    op.execute(VIEW.format(since=SINCE[dialect], join=JOIN[dialect]))
