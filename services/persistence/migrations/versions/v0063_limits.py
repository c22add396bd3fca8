"""The maker of each key, and the limit of the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward: the makers of present keys are unknown, so these keys stay until they are revoked."""
    op.add_column("api_key", sa.Column("made_by", sa.Uuid(), nullable=True))
    op.create_foreign_key("api_key_made_by_fkey", "api_key", "account", ["made_by"], ["id"], ondelete="SET NULL")
    op.create_index("ix_api_key_made_by", "api_key", ["made_by"])
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"])


def downgrade() -> None:
    """Go back: the makers of keys are forgotten."""
    op.drop_index("ix_audit_entry_at", "audit_entry")
    op.drop_index("ix_api_key_made_by", "api_key")
    op.drop_constraint("api_key_made_by_fkey", "api_key", type_="foreignkey")
    op.drop_column("api_key", "made_by")
