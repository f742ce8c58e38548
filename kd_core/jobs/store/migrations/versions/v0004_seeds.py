"""Seeds go up to 2**32 - 1, more than an integer of PostgreSQL holds; one of SQLite has room for all."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        for table in ("runs", "trainings"):
            op.alter_column(table, "seed", type_=sa.BigInteger())
