"""Sign-ins as people see them, second factors, and browsers that are known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

TABLES = ("recovery_code", "second_factor", "sign_in", "trusted_device")
CARRIED_OVER = """
INSERT INTO sign_in (id, "user", began_at, last_used_at, ends_at, browser, agent, address)
SELECT family, "user", min(issued_at), max(coalesce(used_at, issued_at)), min(issued_at) + interval '30 days',
    true, '', ''
FROM refresh_token GROUP BY family, "user"
"""
SHORTENED = """
UPDATE refresh_token SET expires_at = least(expires_at, ends_at) FROM sign_in WHERE sign_in.id = family
"""


def upgrade() -> None:
    """Go forward: present sign-ins stay, for 30 days from their beginning."""
    # The default stays, so that an api of the release before can still write beside the new one.
    op.add_column("organization", sa.Column("second_factor", sa.Boolean(), nullable=False, server_default=sa.false()))
    _create_sign_ins()
    _create_second_factors()
    op.add_column("refresh_token", sa.Column("successor", sa.String(), nullable=True))
    op.execute(CARRIED_OVER)
    op.execute(SHORTENED)
    op.create_foreign_key(
        "refresh_token_family_fkey", "refresh_token", "sign_in", ["family"], ["id"], ondelete="CASCADE"
    )


def downgrade() -> None:
    """Go back: second factors are lost, and all users sign in by password alone."""
    op.drop_constraint("refresh_token_family_fkey", "refresh_token")
    op.drop_column("refresh_token", "successor")
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("organization", "second_factor")


def _create_sign_ins() -> None:
    op.create_table(
        "trusted_device",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        _user(),
        _time("last_used_at"),
        _of_user(),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash", "user"),
    )
    for column in ("user", "last_used_at"):
        op.create_index(f"ix_trusted_device_{column}", "trusted_device", [column])
    op.create_table(
        "sign_in",
        sa.Column("id", sa.Uuid(), nullable=False),
        _user(),
        _time("began_at"),
        _time("last_used_at"),
        _time("ends_at"),
        sa.Column("browser", sa.Boolean(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("device", sa.Uuid(), nullable=True),
        _of_user(),
        sa.ForeignKeyConstraint(["device"], ["trusted_device.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("user", "ends_at", "device"):
        op.create_index(f"ix_sign_in_{column}", "sign_in", [column])


def _create_second_factors() -> None:
    op.create_table(
        "second_factor",
        _user(),
        sa.Column("sealed", sa.String(), nullable=True),
        _time("confirmed_at", nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=True),
        sa.Column("pending", sa.String(), nullable=True),
        _time("pending_at", nullable=True),
        _of_user(),
        sa.PrimaryKeyConstraint("user"),
    )
    op.create_table(
        "recovery_code",
        _user(),
        sa.Column("hash", sa.String(), nullable=False),
        _of_user(),
        sa.PrimaryKeyConstraint("user", "hash"),
    )


def _user() -> sa.Column[object]:
    return sa.Column("user", sa.Uuid(), nullable=False)


def _of_user() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user"], ["account.id"], ondelete="CASCADE")


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
