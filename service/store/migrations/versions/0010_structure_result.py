"""What was measured and found of each structure of a job."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "structure_result",
        sa.Column("job_id", sa.Integer(), sa.ForeignKey("job.id"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("is_sent", sa.Boolean(), nullable=False),
        sa.Column("volume_cc", sa.Double(), nullable=False),
        sa.Column("slices", sa.Integer(), nullable=False),
        sa.Column("pieces", sa.Integer(), nullable=False),
        sa.Column("mean_probability", sa.Double(), nullable=True),
        sa.Column("edges", sa.String(length=64), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("trust", sa.Double(), nullable=True),
    )


def downgrade() -> None:
    op.drop_table("structure_result")
