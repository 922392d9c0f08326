"""The schema of the retention, checksums and pseudonyms."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add what this step adds."""


def downgrade() -> None:
    """Take it away again."""
