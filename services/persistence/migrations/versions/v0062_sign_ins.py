"""Sign-ins as people see them, second factors, and browsers that are known."""

from __future__ import annotations

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""


def downgrade() -> None:
    """Go back."""
