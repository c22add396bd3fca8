"""When a store is open, how many may be inside, and how long an organization's counts are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward: every store is always open, and all is kept."""
    op.add_column("organization", sa.Column("months_kept", sa.Integer(), nullable=True))
    # The default stays, so that an api of the release before can still write beside the new one.
    op.add_column("store", sa.Column("opening_hours", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("store", sa.Column("capacity", sa.Integer(), nullable=True))
    op.create_index("ix_store_organization", "store", ["organization"])


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_store_organization", "store")
    op.drop_column("store", "capacity")
    op.drop_column("store", "opening_hours")
    op.drop_column("organization", "months_kept")
