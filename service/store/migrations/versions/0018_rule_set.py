"""Versions of the rules, and by which of them a job was queued."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    state = sa.Enum(
        *("draft", "active", "replaced", "discarded"),
        name="rule_set_state",
        native_enum=False,
        create_constraint=True,
        length=20,
    )
    op.create_table(
        "rule_set",
        sa.Column("number", ROW_ID, primary_key=True),
        sa.Column("state", state, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("is_from_file", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("based_on", ROW_ID, nullable=True),
        sa.Column("restores", ROW_ID, nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activated_by", sa.String(length=128), nullable=False, server_default=""),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["restores"], ["rule_set.number"], name="rule_set_restores"),
    )
    active = sa.text("state = 'active'")
    op.create_index(
        "rule_set_active", "rule_set", ["state"], unique=True, sqlite_where=active, postgresql_where=active
    )
    op.add_column("job", sa.Column("rule_set", ROW_ID, nullable=True))


def downgrade() -> None:
    op.drop_column("job", "rule_set")
    op.drop_table("rule_set")
