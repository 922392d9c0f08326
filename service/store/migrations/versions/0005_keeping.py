"""What retention removed, what was found damaged, and the pseudonyms of research copies."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TIME = sa.DateTime(timezone=True)
FILES = ("instance", "delivery")


def upgrade() -> None:
    for table in FILES:
        for column in ("removed_at", "verified_at", "damaged_at"):
            op.add_column(table, sa.Column(column, TIME, nullable=True))
    op.create_table(
        "removal",
        sa.Column("path", sa.String(length=255), primary_key=True),
        sa.Column("marked_at", TIME, nullable=False),
    )
    op.create_table(
        "project",
        sa.Column("name", sa.String(length=64), primary_key=True),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_table(
        "pseudonym",
        sa.Column("project", sa.String(length=64), sa.ForeignKey("project.name"), primary_key=True),
        sa.Column("patient_key", sa.String(length=255), primary_key=True),
        sa.Column("pseudonym", sa.String(length=64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.UniqueConstraint("project", "pseudonym", name="pseudonym_once"),
    )
    op.create_table(
        "uid_pair",
        sa.Column("project", sa.String(length=64), sa.ForeignKey("project.name"), primary_key=True),
        sa.Column("replacement", sa.String(length=64), primary_key=True),
        sa.Column("original", sa.String(length=64), nullable=False),
        sa.UniqueConstraint("project", "original", name="uid_pair_once"),
    )
    op.create_table(
        "original_study",
        sa.Column("project", sa.String(length=64), sa.ForeignKey("project.name"), primary_key=True),
        sa.Column("study_uid", sa.String(length=64), primary_key=True),
        sa.Column("attributes", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    for table in ("original_study", "uid_pair", "pseudonym", "project", "removal"):
        op.drop_table(table)
    for table in FILES:
        for column in ("removed_at", "verified_at", "damaged_at"):
            op.drop_column(table, column)
