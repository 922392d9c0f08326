"""Signs of life of the roles, counts that outlive their jobs, alarms, and what people were told of."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_signs_of_life_and_counts()
    _create_what_people_are_told()
    # "The event before this one of the same job" is one step in this index; job_id alone was its beginning.
    op.create_index("job_event_job_id_id", "job_event", ["job_id", "id"])
    op.drop_index("ix_job_event_job_id", table_name="job_event")

    for table in ("instance", "delivery"):  # what is damaged is looked for every few seconds, and is rare
        op.create_index(
            f"{table}_damaged",
            table,
            ["id"],
            sqlite_where=sa.text("damaged_at IS NOT NULL"),
            postgresql_where=sa.text("damaged_at IS NOT NULL"),
        )


def downgrade() -> None:
    for table in ("instance", "delivery"):
        op.drop_index(f"{table}_damaged", table_name=table)
    op.create_index("ix_job_event_job_id", "job_event", ["job_id"])
    op.drop_index("job_event_job_id_id", table_name="job_event")
    for table in ("notice", "alarm", "tally", "watch_cursor", "role_heartbeat"):
        op.drop_table(table)


def _create_signs_of_life_and_counts() -> None:
    op.create_table(
        "role_heartbeat",
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("role", "host", "pid"),
    )
    op.create_table(
        "watch_cursor",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "tally",
        sa.Column("family", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.String(length=64), nullable=False),
        sa.Column("bucket", sa.String(length=16), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("family", "label", "detail", "bucket"),
    )


def _create_what_people_are_told() -> None:
    op.create_table(
        "alarm",
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("began_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_table(
        "notice",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("sent_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "notice_unsent",
        "notice",
        ["target", "id"],
        sqlite_where=sa.text("sent_at IS NULL"),
        postgresql_where=sa.text("sent_at IS NULL"),
    )
    op.create_index("notice_sent_at", "notice", ["target", "sent_at"])
