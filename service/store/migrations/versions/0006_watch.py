"""The schema of the notifications."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add what this step adds."""


def downgrade() -> None:
    """Take it away again."""
