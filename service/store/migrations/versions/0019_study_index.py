"""What is there of a study is found without reading its objects, or all jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    is_there = sa.text("removed_at IS NULL")
    op.create_index(
        "instance_study_there",
        "instance",
        ["study_uid", "id"],
        sqlite_where=is_there,
        postgresql_where=is_there,
    )
    op.create_index("job_study", "job", ["study_uid"])


def downgrade() -> None:
    op.drop_index("job_study", "job")
    op.drop_index("instance_study_there", "instance")
