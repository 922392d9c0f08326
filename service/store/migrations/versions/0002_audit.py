"""The schema of the audit trail."""

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what this step adds."""


def downgrade() -> None:
    """Take it away again."""
