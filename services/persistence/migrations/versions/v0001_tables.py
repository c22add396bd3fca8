"""The tables of the first release: configuration, the record of crossings, and its rollups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    _create_configuration()
    _create_record()
    _create_rollup("count_minute", _time("bucket"))
    _create_rollup("count_quarter", _time("bucket"))
    _create_rollup("count_day", sa.Column("day", sa.Date(), nullable=False))
    _create_progress()


def downgrade() -> None:
    """Go back: every count is lost."""
    for table in (
        *("run_session", "session_count", "store_version"),
        *("count_day", "count_quarter", "count_minute", "crossing"),
        *("line", "camera", "store", "organization"),
    ):
        op.drop_table(table)


def _create_configuration() -> None:
    op.create_table("organization", _text("id"), _text("name"), sa.PrimaryKeyConstraint("id"))
    op.create_table(
        "store",
        _text("id"),
        _text("organization"),
        _text("name"),
        _text("time_zone"),
        sa.ForeignKeyConstraint(["organization"], ["organization.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "camera",
        _text("id"),
        _text("store"),
        _text("name"),
        _integer("revision"),
        _text("address"),
        sa.Column("start", sa.BigInteger(), nullable=True),
        _integer("again"),
        _text("model"),
        _text("policy"),
        sa.Column("fps", sa.Float(), nullable=True),
        _integer("width"),
        _integer("quality"),
        _float("preview_fps"),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["store"], ["store.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_camera_store", "camera", ["store"])
    op.create_table(
        "line",
        _text("camera"),
        _text("id"),
        _text("name"),
        _integer("revision"),
        *(_float(name) for name in ("x1", "y1", "x2", "y2")),
        _text("in_side"),
        _text("anchor"),
        sa.ForeignKeyConstraint(["camera"], ["camera.id"]),
        sa.PrimaryKeyConstraint("camera", "id"),
    )


def _create_record() -> None:
    op.create_table(
        "crossing",
        _text("run"),
        sa.Column("id", sa.Uuid(), nullable=False),
        _time("at"),
        _long("at_ns"),
        _text("store"),
        _text("camera"),
        _text("line"),
        _integer("line_revision"),
        _text("direction"),
        _text("session"),
        _long("seq"),
        _float("place"),
        _integer("spec_revision"),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("model", "model_sha256", "model_precision")),
        sa.PrimaryKeyConstraint("run", "id", "at"),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("crossing_by_line", "crossing", ["run", "store", "line", "at"])


def _create_rollup(name: str, bucket: sa.Column[object]) -> None:
    keys = ("run", "store", "camera", "line")
    op.create_table(
        name,
        *(_text(key) for key in keys),
        bucket,
        _integer("ins"),
        _integer("outs"),
        sa.PrimaryKeyConstraint(*keys, bucket.name),
    )


def _create_progress() -> None:
    op.create_table(
        "store_version",
        _text("run"),
        _text("store"),
        _long("version"),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        _text("time_zone"),
        sa.PrimaryKeyConstraint("run", "store"),
    )
    op.create_table(
        "session_count",
        _text("run"),
        _text("camera"),
        _text("session"),
        _integer("crossings"),
        sa.PrimaryKeyConstraint("run", "camera", "session"),
    )
    op.create_table(
        "run_session",
        _text("run"),
        _text("camera"),
        _text("session"),
        _text("store"),
        _text("reason"),
        _time("at"),
        *(_integer(name) for name in ("frames", "skipped", "missed", "count")),
        sa.PrimaryKeyConstraint("run", "camera", "session"),
    )


def _text(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.String(), nullable=False)


def _integer(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _long(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _float(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Float(), nullable=False)


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)
