"""Zones: parts of a camera's picture that have names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "zone",
        sa.Column("camera", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("polygon", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["camera"], ["camera.id"]),
        sa.PrimaryKeyConstraint("camera", "id"),
    )


def downgrade() -> None:
    """Go back: zones are lost, and nothing that was counted."""
    op.drop_table("zone")
