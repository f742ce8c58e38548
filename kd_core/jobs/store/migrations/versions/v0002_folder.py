"""In which data folder the files of a run lie: its machine's name, which may change, said that before."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("runs", sa.Column("folder", sa.String))
