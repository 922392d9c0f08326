"""Answers to orders of programs, so that the same order twice is done once."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "api_answer",
        sa.Column("actor", sa.String(length=128), primary_key=True),
        sa.Column("key", sa.String(length=128), primary_key=True),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False, server_default=""),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_api_answer_made_at", "api_answer", ["made_at"])


def downgrade() -> None:
    op.drop_table("api_answer")
