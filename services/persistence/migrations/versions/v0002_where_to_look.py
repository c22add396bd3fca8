"""The region filter of a camera, and the names of a line's sides."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAMES = ("in_name", "out_name")


def upgrade() -> None:
    """Go forward: the cameras that are there look everywhere."""
    # The defaults stay, so that an api of the release before can still write beside the new one.
    op.add_column("camera", sa.Column("detection", sa.JSON(), nullable=False, server_default="{}"))
    for name in NAMES:
        op.add_column("line", sa.Column(name, sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    """Go back: regions, ignored parts and the names of sides are lost."""
    for name in NAMES:
        op.drop_column("line", name)
    op.drop_column("camera", "detection")
