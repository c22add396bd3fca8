"""Video track and frame rate of a camera, for sources that give them wrongly."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0063"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column("camera", sa.Column("track", sa.Integer(), nullable=True))
    op.add_column("camera", sa.Column("rate", sa.Float(), nullable=True))


def downgrade() -> None:
    """Go back: such cameras are read as they say themselves."""
    op.drop_column("camera", "rate")
    op.drop_column("camera", "track")
