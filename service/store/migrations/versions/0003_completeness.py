"""The schema of the completeness of series."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what this step adds."""


def downgrade() -> None:
    """Take it away again."""
