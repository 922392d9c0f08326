"""The node's identity, its hold and its clock; and the UID from which the UIDs of a job's results are derived."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "node",
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("identity", sa.String(length=36), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("held_since", TIME, nullable=True),
        sa.Column("held_reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("recovering_since", TIME, nullable=True),
        sa.Column("recovered_at", TIME, nullable=True),
        sa.Column("clock_at", TIME, nullable=True),
        sa.Column("clock_boot_id", sa.String(length=36), nullable=False, server_default=""),
        sa.Column("clock_uptime_s", sa.Double(), nullable=True),
        sa.Column("clock_accepted_at", TIME, nullable=True),
        sa.Column("clock_doubt", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("number"),
    )
    op.add_column("job", sa.Column("result_uid", sa.Uuid(), nullable=True))
