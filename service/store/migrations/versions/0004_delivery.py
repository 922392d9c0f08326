"""The schema of the delivery."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add what this step adds."""


def downgrade() -> None:
    """Take it away again."""
