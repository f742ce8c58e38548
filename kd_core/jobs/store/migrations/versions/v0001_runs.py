"""Runs, what they report while they work, and their reports."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _part_of(column: str, **options: Any) -> sa.Column[int]:
    """A reference like ``run``, to ``runs.number``; the row goes with what it belongs to."""
    name = column.partition("s.")[0]
    return sa.Column(name, sa.Integer, sa.ForeignKey(column, ondelete="CASCADE"), **options)


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False, index=True),
        sa.Column("command", sa.String, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("task", sa.String, nullable=False),
        sa.Column("teacher", sa.String, nullable=False),
        sa.Column("student", sa.String, nullable=False),
        sa.Column("config", sa.JSON, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("started", sa.DateTime(timezone=True)),
        sa.Column("finished", sa.DateTime(timezone=True)),
        sa.Column("machine", sa.String, nullable=False),
        sa.Column("owner", sa.String),
        sa.Column("heartbeat", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.String),
        sa.Column("stage", sa.String),
        sa.Column("who", sa.String),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("steps", sa.Integer, nullable=False),
        sa.Column("label", sa.String),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("seconds_left", sa.Float),
        sa.Column("pace", sa.JSON, nullable=False),
        sa.Column("sparkline", sa.JSON, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
    )
    op.create_table(
        "reports",
        _part_of("runs.number", primary_key=True, autoincrement=False),
        sa.Column("report", sa.JSON, nullable=False),
    )
    op.create_table(
        "stages",
        _part_of("runs.number", primary_key=True),
        sa.Column("stage", sa.String, primary_key=True),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Float),
        sa.Column("cached", sa.Boolean, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True),
        _part_of("runs.number", nullable=False, index=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("event", sa.JSON, nullable=False),
    )
    op.create_table(
        "trainings",
        sa.Column("id", sa.Integer, primary_key=True),
        _part_of("runs.number", nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.UniqueConstraint("run", "who", "seed"),
    )
    op.create_table(
        "points",
        _part_of("trainings.id", primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True),
        sa.Column("loss", sa.Float),
        sa.Column("hard", sa.Float),
        sa.Column("soft", sa.Float),
        sa.Column("intermediate", sa.Float),
        sa.Column("learning_rate", sa.Float),
        sa.Column("samples_per_second", sa.Float),
        sqlite_with_rowid=False,  # rows of one curve lie side by side
    )
    op.create_table(
        "evaluations",
        _part_of("trainings.id", primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True),
        sa.Column("accuracy", sa.Float),
        sa.Column("loss", sa.Float),
        sqlite_with_rowid=False,
    )
