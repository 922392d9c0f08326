"""What the images of a series say of it: patient, description, and what rules may ask."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "series_fact",
        sa.Column("series_uid", sa.String(length=64), primary_key=True),
        sa.Column("study_uid", sa.String(length=64), primary_key=True),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in (
                "patient_id",
                "patient_name",
                "accession_number",
                "search_text",
                "description",
                "body_part",
            )
        ),
        sa.Column("modality", sa.String(length=16), nullable=False),
        sa.Column("study_date", sa.String(length=8), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("recorded_at", time, nullable=False),
        sa.Column("patient_removed_at", time),
    )
    for column in ("patient_id", "accession_number"):
        op.create_index(f"series_fact_{column}", "series_fact", [column])


def downgrade() -> None:
    op.drop_table("series_fact")
