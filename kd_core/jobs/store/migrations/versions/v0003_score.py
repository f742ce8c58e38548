"""What a look at the validation texts found by the metric that decides; older looks: accuracy alone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("evaluations", sa.Column("score", sa.Float))
