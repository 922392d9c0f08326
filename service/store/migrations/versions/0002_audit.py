"""The audit trail, append-only by triggers, and what of it was forwarded."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NOT_FORWARDED = "forwarded_at IS NULL"
REFUSAL = "the audit trail is append-only"

SQLITE = (
    f"CREATE TRIGGER audit_event_is_kept BEFORE DELETE ON audit_event BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
    f"CREATE TRIGGER audit_event_stays BEFORE UPDATE ON audit_event BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
    "CREATE TRIGGER audit_event_is_forwarded AFTER INSERT ON audit_event "
    "BEGIN INSERT INTO audit_forwarding (event_id) VALUES (NEW.id); END",
)
POSTGRES = (
    "CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$",
    "CREATE TRIGGER audit_event_stays BEFORE UPDATE OR DELETE ON audit_event "
    "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_event_is_kept BEFORE TRUNCATE ON audit_event "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    "CREATE FUNCTION audit_forward() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN INSERT INTO audit_forwarding (event_id) VALUES (NEW.id); RETURN NULL; END $$",
    "CREATE TRIGGER audit_event_is_forwarded AFTER INSERT ON audit_event "
    "FOR EACH ROW EXECUTE FUNCTION audit_forward()",
)


def upgrade() -> None:
    op.create_table(
        "audit_event",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=2), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("address", sa.String(length=253), nullable=False),
        sa.Column("target", sa.String(length=128), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("study_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_classes", sa.Text(), nullable=False),
        sa.Column("instance_count", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.String(length=128), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_event_at", "audit_event", ["at"], unique=False)
    op.create_index("ix_audit_event_study_uid", "audit_event", ["study_uid"], unique=False)
    op.create_table(
        "audit_forwarding",
        sa.Column("event_id", ROW_ID, nullable=False),
        sa.Column("forwarded_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["audit_event.id"]),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index(
        "audit_to_forward",
        "audit_forwarding",
        ["event_id"],
        unique=False,
        sqlite_where=sa.text(NOT_FORWARDED),
        postgresql_where=sa.text(NOT_FORWARDED),
    )
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRES:
        op.execute(statement)
