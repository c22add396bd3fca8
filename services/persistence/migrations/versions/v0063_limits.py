"""Bounds: who made a key, and how long the log of changes is kept."""

from __future__ import annotations

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""


def downgrade() -> None:
    """Go back."""
