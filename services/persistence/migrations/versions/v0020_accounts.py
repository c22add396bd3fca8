"""Access rights: users, memberships, keys, sign-ins, and the audit log; more settings of stores and organizations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = (
    *("audit_entry", "remembered_answer", "signing_key", "sign_in_attempts"),
    *("refresh_token", "api_key", "membership", "account"),
)


def upgrade() -> None:
    """Go forward: there are no accounts yet, and every store is always open."""
    op.add_column("organization", sa.Column("months_kept", sa.Integer(), nullable=True))
    # The default stays, so that an api of the release before can still write beside the new one.
    op.add_column("store", sa.Column("opening_hours", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("store", sa.Column("capacity", sa.Integer(), nullable=True))
    op.create_index("ix_store_organization", "store", ["organization"])
    _create_accounts()
    _create_keys()
    _create_sign_ins()
    _create_log()


def downgrade() -> None:
    """Go back: all accounts, keys and the log are lost."""
    for table in TABLES:
        op.drop_table(table)
    op.drop_index("ix_store_organization", "store")
    op.drop_column("store", "capacity")
    op.drop_column("store", "opening_hours")
    op.drop_column("organization", "months_kept")


def _create_accounts() -> None:
    op.create_table(
        "account",
        _id("id"),
        _text("email"),
        _text("name"),
        _text("password_hash", nullable=True),
        _text("subject", nullable=True),
        sa.Column("superadmin", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
        sa.UniqueConstraint("subject"),
    )
    op.create_table(
        "membership",
        _id("user"),
        _text("organization"),
        _text("role"),
        sa.ForeignKeyConstraint(["user"], ["account.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["organization"], ["organization.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user", "organization"),
    )
    op.create_index("ix_membership_organization", "membership", ["organization"])


def _create_keys() -> None:
    op.create_table(
        "api_key",
        _id("id"),
        _text("organization"),
        _text("store", nullable=True),
        _text("name"),
        _text("role"),
        _text("prefix"),
        _text("hash"),
        _time("created_at"),
        _time("revoked_at", nullable=True),
        _time("last_used_at", nullable=True),
        sa.ForeignKeyConstraint(["organization"], ["organization.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["store"], ["store.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("prefix"),
    )
    op.create_index("ix_api_key_organization", "api_key", ["organization"])
    op.create_index("ix_api_key_store", "api_key", ["store"])


def _create_sign_ins() -> None:
    op.create_table(
        "refresh_token",
        _text("hash"),
        _id("family"),
        _id("user"),
        _time("issued_at"),
        _time("expires_at"),
        _time("used_at", nullable=True),
        sa.ForeignKeyConstraint(["user"], ["account.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hash"),
    )
    for column in ("family", "user", "expires_at"):
        op.create_index(f"ix_refresh_token_{column}", "refresh_token", [column])
    op.create_table(
        "sign_in_attempts",
        _text("key"),
        sa.Column("count", sa.Integer(), nullable=False),
        _time("since"),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "signing_key",
        _text("kid"),
        _text("sealed"),
        sa.Column("public", sa.JSON(), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("kid"),
    )


def _create_log() -> None:
    op.create_table(
        "remembered_answer",
        _text("who"),
        _text("key"),
        _text("fingerprint"),
        sa.Column("status", sa.Integer(), nullable=False),
        _text("sealed"),
        _time("at"),
        sa.PrimaryKeyConstraint("who", "key"),
    )
    op.create_index("ix_remembered_answer_at", "remembered_answer", ["at"])
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _time("at"),
        _text("who"),
        _text("organization", nullable=True),
        *(_text(name) for name in ("action", "kind", "key")),
        *(sa.Column(name, sa.JSON(), nullable=True) for name in ("before", "after")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_entry_organization", "audit_entry", ["organization"])


def _id(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Uuid(), nullable=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
