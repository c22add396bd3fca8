"""Invitations, password resets, and mail on its way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None

TABLES = ("allowance", "outgoing_mail", "password_reset", "invitation")


def upgrade() -> None:
    """Go forward. Superadmins were made by the operator; admins may have chosen the other accounts' passwords."""
    op.add_column("account", _time("verified_at", nullable=True))
    op.execute("UPDATE account SET verified_at = created_at WHERE superadmin")
    op.create_table(
        "invitation",
        _id("id"),
        *(_text(name) for name in ("organization", "email", "name", "role", "hash", "invited_by")),
        _id("inviter", nullable=True),
        *(_time(name) for name in ("created_at", "expires_at")),
        *(_time(name, nullable=True) for name in ("accepted_at", "revoked_at")),
        sa.ForeignKeyConstraint(["organization"], ["organization.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_index("ix_invitation_organization", "invitation", ["organization"])
    op.create_index(
        "ix_invitation_pending",
        "invitation",
        ["organization", "email"],
        unique=True,
        postgresql_where=sa.text("accepted_at IS NULL AND revoked_at IS NULL"),
    )
    op.create_table(
        "password_reset",
        _id("id"),
        _id("user"),
        _text("hash"),
        *(_time(name) for name in ("created_at", "expires_at")),
        _time("used_at", nullable=True),
        sa.ForeignKeyConstraint(["user"], ["account.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_index("ix_password_reset_user", "password_reset", ["user"])
    op.create_table(
        "outgoing_mail",
        _id("id"),
        _id("about", nullable=True),
        _text("recipient"),
        _text("sealed", nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        *(_time(name) for name in ("next_at", "expires_at")),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("about", "next_at"):
        op.create_index(f"ix_outgoing_mail_{column}", "outgoing_mail", [column])
    op.create_table(
        "allowance",
        _text("key"),
        sa.Column("count", sa.Integer(), nullable=False),
        _time("since"),
        sa.PrimaryKeyConstraint("key"),
    )


def downgrade() -> None:
    """Go back: pending invitations are lost, accepted ones stay members."""
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("account", "verified_at")


def _id(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Uuid(), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
