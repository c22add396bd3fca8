"""The setting by which a camera's frames are kept for a while."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward: no camera that is there is recorded."""
    # The default stays, so that an api of the release before can still write beside the new one.
    op.add_column("camera", sa.Column("record", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Go back: whether a camera is recorded is lost."""
    op.drop_column("camera", "record")
