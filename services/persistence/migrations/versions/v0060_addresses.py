"""Addresses are secrets, and say whether they may reach this machine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0050"
branch_labels = None
depends_on = None

_LOCAL = r"^\s*(sim://|file://|/|[^:]*$)"
"""A simulation, a file or a device: a superadmin wrote it, or it reaches nothing."""


def upgrade() -> None:
    """Go forward: what only the machine's owner can have set is trusted, and messages that tell addresses go.

    The API seals addresses that lie in the clear, at its start: it has the secret key.
    """
    # The default stays, so that an api of the release before can still write beside the new one.
    op.add_column("camera", sa.Column("trusted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(sa.text("UPDATE camera SET trusted = true WHERE address ~* :local").bindparams(local=_LOCAL))
    # Messages of before named the whole address, with whatever passwords were not known to be such.
    op.execute(
        "UPDATE camera_health SET message = 'An earlier release said here what was wrong, with the camera''s address.'"
        " WHERE service = 'ingest' AND message LIKE '%://%'"
    )


def downgrade() -> None:
    """Go back: the authors of addresses are forgotten. Sealed addresses stay sealed; the release before opens them."""
    op.drop_column("camera", "trusted")
