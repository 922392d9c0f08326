"""The page's people, their sessions and links, and the tokens of programs."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "web_user",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("sees_patients", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("failed_sign_ins", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("locked_until", TIME),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("seen_at", TIME),
        sa.Column("ended_at", TIME),
        sa.UniqueConstraint("name", name="web_user_name"),
    )
    op.create_table(
        "web_session",
        sa.Column("secret_sha256", sa.String(length=64), primary_key=True),
        sa.Column("user_id", ROW_ID, sa.ForeignKey("web_user.id"), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
    )
    op.create_index("ix_web_session_user_id", "web_session", ["user_id"])
    op.create_table(
        "web_invitation",
        sa.Column("secret_sha256", sa.String(length=64), primary_key=True),
        sa.Column("user_id", ROW_ID, sa.ForeignKey("web_user.id"), nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("used_at", TIME),
    )
    op.create_table(
        "api_token",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False, unique=True),
        sa.Column("scopes", sa.String(length=255), nullable=False),
        sa.Column("made_by", sa.String(length=128), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("seen_at", TIME),
        sa.Column("ended_at", TIME),
    )
    op.create_index("api_token_name", "api_token", ["name"])


def downgrade() -> None:
    for table in ("api_token", "web_invitation", "web_session", "web_user"):
        op.drop_table(table)
