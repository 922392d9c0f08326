"""Jobs of a state by number: what lists of jobs ask for. Nothing asks by state and the time of queueing."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("job_state_id", "job", ["state", "id"])
    op.drop_index("job_state_queued_at", table_name="job")


def downgrade() -> None:
    op.create_index("job_state_queued_at", "job", ["state", "queued_at"])
    op.drop_index("job_state_id", table_name="job")
