"""History: counts in the order of their time, occupancy, and sessions that can be removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0020"
branch_labels = None
depends_on = None

ROLLUPS = {"count_minute": "bucket", "count_quarter": "bucket", "count_day": "day"}


def upgrade() -> None:
    """Go forward: occupancy begins anew with the day, as it did."""
    # The defaults stay, so that services of the release before can still write beside the new ones.
    op.add_column("organization", sa.Column("demo", sa.Boolean(), nullable=False, server_default="false"))
    op.add_column("store", sa.Column("occupancy_reset", sa.Time(), nullable=False, server_default="00:00"))
    for table, bucket in ROLLUPS.items():
        _change_key(table, "run", "store", bucket, "camera", "line")
    op.drop_index("crossing_by_line", "crossing")
    op.create_index("crossing_by_time", "crossing", ["run", "store", "at"])
    _date_sessions()
    op.create_table(
        "occupancy_correction",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("store", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("inside", sa.Integer(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("occupancy_correction_by_time", "occupancy_correction", ["store", "at"])


def downgrade() -> None:
    """Go back: corrections of the occupancy are lost."""
    op.drop_table("occupancy_correction")
    for column in ("last_at", "store"):
        op.drop_column("session_count", column)
    op.drop_index("crossing_by_time", "crossing")
    op.create_index("crossing_by_line", "crossing", ["run", "store", "line", "at"])
    for table, bucket in ROLLUPS.items():
        _change_key(table, "run", "store", "camera", "line", bucket)
    op.drop_column("store", "occupancy_reset")
    op.drop_column("organization", "demo")


def _change_key(table: str, *columns: str) -> None:
    op.drop_constraint(f"{table}_pkey", table)
    op.create_primary_key(f"{table}_pkey", table, list(columns))


def _date_sessions() -> None:
    op.add_column("session_count", sa.Column("store", sa.String(), nullable=False, server_default=""))
    never = sa.text("'epoch'")
    op.add_column(
        "session_count", sa.Column("last_at", sa.DateTime(timezone=True), nullable=False, server_default=never)
    )
    op.execute(
        """
        UPDATE session_count s SET store = c.store, last_at = c.last_at
        FROM (SELECT run, camera, session, min(store) AS store, max(at) AS last_at FROM crossing GROUP BY 1, 2, 3) c
        WHERE (s.run, s.camera, s.session) = (c.run, c.camera, c.session)
        """
    )
