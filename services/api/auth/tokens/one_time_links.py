"""Links with a one-time token, by which a person shows that a mail reached them.

The token stands behind the `#`: browsers send that part to no server, so that it is in no log of a proxy. The database
holds its hash alone.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, SecretStr

from services.api.auth.tokens.digest import digest

PAGE = "account.html"

Token = Annotated[SecretStr, Field(min_length=1, max_length=100, description="What stands behind `=` in the link.")]


class Purpose(StrEnum):
    """What a link is for."""

    INVITATION = "invitation"
    RESET = "reset"

    @property
    def life(self) -> timedelta:
        """How long its links are good."""
        return timedelta(hours=24) if self is Purpose.INVITATION else timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was just drawn: its token is told once, to the person whom it is for, and kept nowhere."""

    purpose: Purpose
    token: str

    @classmethod
    def draw(cls, purpose: Purpose) -> Link:
        """A new one: 256 bits that nobody guesses."""
        return cls(purpose, secrets.token_urlsafe(32))

    @property
    def hash(self) -> str:
        """What the database holds."""
        return digest(self.token)

    def at(self, public_url: str) -> str:
        """The whole link.

        Args:
            public_url: where browsers find the dashboard, of the settings and never of a request.
        """
        return f"{public_url.rstrip('/')}/{PAGE}#{self.purpose}={self.token}"
