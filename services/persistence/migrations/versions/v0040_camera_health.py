"""The history of cameras' health."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward: it begins with what the stream of statuses still has."""
    op.create_table(
        "camera_health",
        sa.Column("camera", sa.String(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("session", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["camera"], ["camera.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("camera", "service", "at"),
    )
    op.create_index("camera_health_by_time", "camera_health", ["camera", "at"])


def downgrade() -> None:
    """Go back: the history of statuses is lost, except the part that the stream still has."""
    op.drop_table("camera_health")
