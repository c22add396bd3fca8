"""Promotions: a run's counts in the place of the live ones, for a line and a period."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "promotion",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("store", "camera", "line")),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in ("since", "until")),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("who", "note")),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("since < until", name="promotion_takes_time"),
        # Counts are kept by quarters of an hour: a part of one could not be told from the rest.
        sa.CheckConstraint(
            "extract(epoch FROM since) % 900 = 0 AND extract(epoch FROM until) % 900 = 0", name="promotion_of_quarters"
        ),
        sa.CheckConstraint("run <> 'live'", name="promotion_of_a_run"),
    )
    op.create_index(
        "promotion_in_force",
        "promotion",
        ["store", "camera", "line", "since"],
        postgresql_where=sa.text("revoked_at IS NULL"),
    )


def downgrade() -> None:
    """Go back: promotions are lost, and the live counts are shown everywhere."""
    op.drop_table("promotion")
