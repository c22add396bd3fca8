"""Addresses are secrets, and say whether they may reach this machine."""

from __future__ import annotations

revision = "0060"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""


def downgrade() -> None:
    """Go back."""
