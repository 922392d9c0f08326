"""Artifacts: what the node made or got back, apart from its deliveries; what a job is for."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PURPOSES = "purpose IN ('clinical', 'shadow', 'evaluation')"
ROLES = "role IN ('result', 'failure_report', 'returned')"
KINDS = "kind IN ('structure_set', 'segmentation', 'report', 'capture', 'unknown')"
FILE_COLUMNS = ("path", "size_bytes", "sha256", "removed_at", "verified_at", "damaged_at")
# A file of several destinations had a row each: it is gone once all say so, damaged once one does.
FROM_DELIVERIES = """
INSERT INTO artifact (job_id, role, kind, path, size_bytes, sha256, model, model_version, created_at, removed_at,
                      verified_at, damaged_at)
SELECT job.id, delivery.kind,
       CASE WHEN delivery.kind = 'result' AND delivery.path = job.result_path THEN 'structure_set' ELSE 'unknown' END,
       delivery.path, MAX(delivery.size_bytes), MAX(delivery.sha256), job.model, job.model_version,
       MIN(delivery.created_at),
       CASE WHEN COUNT(delivery.removed_at) = COUNT(*) THEN MAX(delivery.removed_at) END,
       MIN(delivery.verified_at), MAX(delivery.damaged_at)
FROM delivery JOIN job ON job.id = delivery.job_id
GROUP BY job.id, delivery.kind, delivery.path, job.result_path, job.model, job.model_version
ORDER BY MIN(delivery.id)
"""
FROM_JOBS = """
INSERT INTO artifact (job_id, role, kind, path, size_bytes, sha256, model, model_version, created_at)
SELECT id, 'result', 'structure_set', result_path, COALESCE(result_size_bytes, 0), COALESCE(result_sha256, ''), model,
       model_version, COALESCE(finished_at, last_received_at)
FROM job
WHERE result_path IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM artifact WHERE artifact.job_id = job.id AND artifact.path = job.result_path)
ORDER BY id
"""
POINT = """
UPDATE delivery SET artifact_id = (
    SELECT artifact.id FROM artifact
    WHERE artifact.job_id = delivery.job_id AND artifact.path = delivery.path AND artifact.role = delivery.kind)
"""
UNIQUE = {
    "job_version": ("version", "purpose <> 'shadow'"),
    "job_open": ("", "state IN ('receiving', 'waiting')"),
    "job_content": (
        "content_hash rule model model_version calling_aet pass_number",
        "content_hash IS NOT NULL AND state NOT IN ('superseded', 'cancelled', 'refused')",
    ),
}
SERIES = {"job_version": "called_aet calling_aet", "job_open": "called_aet calling_aet", "job_content": ""}
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
       job.not_before, job.superseded_by, job.purpose, job.shadow_of,
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
    op.execute("DROP VIEW job_status")
    _make_artifacts()
    _change_delivery()
    _change_job()
    op.execute(VIEW.format(**DIALECTS[op.get_bind().dialect.name]))


def _make_artifacts() -> None:
    op.create_table(
        "artifact",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("job_id", sa.Integer(), sa.ForeignKey("job.id"), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("path", sa.String(length=255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), server_default="", nullable=False),
        sa.Column("model", sa.String(length=64), server_default="", nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=True),
        sa.Column("weights_sha256", sa.String(length=64), server_default="", nullable=False),
        sa.Column("provenance", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("removed_at", TIME, nullable=True),
        sa.Column("verified_at", TIME, nullable=True),
        sa.Column("damaged_at", TIME, nullable=True),
        sa.UniqueConstraint("job_id", "role", "path", name="artifact_once"),
        sa.CheckConstraint(ROLES, name="artifact_role"),
        sa.CheckConstraint(KINDS, name="artifact_kind"),
    )
    op.execute(FROM_DELIVERIES)
    op.execute(FROM_JOBS)
    for column in ("path", "sop_instance_uid"):
        op.create_index(f"ix_artifact_{column}", "artifact", [column])
    damaged = sa.text("damaged_at IS NOT NULL")
    op.create_index("artifact_damaged", "artifact", ["id"], sqlite_where=damaged, postgresql_where=damaged)


def _change_delivery() -> None:
    op.drop_index("delivery_damaged", table_name="delivery")
    op.add_column("delivery", sa.Column("artifact_id", ROW_ID, nullable=True))
    op.execute(POINT)
    with op.batch_alter_table("delivery") as batch:
        batch.drop_constraint("delivery_once", type_="unique")
        for column in FILE_COLUMNS:
            batch.drop_column(column)
        batch.alter_column("artifact_id", existing_type=ROW_ID, nullable=False)
        batch.create_foreign_key("delivery_artifact", "artifact", ["artifact_id"], ["id"])
        batch.create_unique_constraint("delivery_once", ["job_id", "destination", "artifact_id"])
    op.create_index("delivery_artifact_id", "delivery", ["artifact_id"])


def _change_job() -> None:
    for name in ("job_open", "job_content"):
        op.drop_index(name, table_name="job")
    op.add_column("job", sa.Column("has_result", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column(
        "job", sa.Column("purpose", sa.String(length=20), server_default="clinical", nullable=False)
    )
    op.add_column("job", sa.Column("shadow_of", sa.Integer(), nullable=True))
    op.execute("UPDATE job SET has_result = (result_path IS NOT NULL)")
    with op.batch_alter_table("job", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.drop_constraint("job_version", type_="unique")
        batch.drop_constraint("job_delivering_has_result", type_="check")
        for column in ("result_path", "result_size_bytes", "result_sha256"):
            batch.drop_column(column)
        batch.create_check_constraint("job_purpose", PURPOSES)
        batch.create_check_constraint(
            "job_delivering_has_result", "state NOT IN ('delivering', 'done') OR has_result"
        )
        batch.create_check_constraint(
            "job_shadow_has_its_job", "(purpose = 'shadow') = (shadow_of IS NOT NULL)"
        )
        batch.create_foreign_key("job_shadow_of", "job", ["shadow_of"], ["id"])
    for name, (columns, condition) in UNIQUE.items():
        op.create_index(
            name,
            "job",
            ["series_uid", "study_uid", *SERIES[name].split(), *columns.split()],
            unique=True,
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )
    op.create_index("job_shadow", "job", ["shadow_of", "rule"], unique=True)
