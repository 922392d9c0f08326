"""What a person asks of a rerun: another rule, another model."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("job", sa.Column("wanted_rule", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("job", sa.Column("wanted_model", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("job", sa.Column("wanted_model_version", sa.Integer(), nullable=True))


def downgrade() -> None:
    for column in ("wanted_model_version", "wanted_model", "wanted_rule"):
        op.drop_column("job", column)
