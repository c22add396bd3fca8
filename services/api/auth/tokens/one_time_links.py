"""Links with a one-time token, which prove that their holder received a mail.

The token is in the fragment, after `#`, which browsers do not send: it appears in no proxy's log. The database stores
only its hash.
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

Token = Annotated[SecretStr, Field(min_length=1, max_length=100, description="The text after `=` in the link.")]


class Purpose(StrEnum):
    """Purpose of a link."""

    INVITATION = "invitation"
    RESET = "reset"

    @property
    def life(self) -> timedelta:
        """Life of its links."""
        return timedelta(hours=24) if self is Purpose.INVITATION else timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Link:
    """A new link. Its token is given to its recipient once, and not stored."""

    purpose: Purpose
    token: str

    @classmethod
    def draw(cls, purpose: Purpose) -> Link:
        """A new link with 256 random bits."""
        return cls(purpose, secrets.token_urlsafe(32))

    @property
    def hash(self) -> str:
        """The hash that the database stores."""
        return digest(self.token)

    def at(self, public_url: str) -> str:
        """The complete URL.

        Args:
            public_url: of the dashboard, from the settings: a request's Host header is not trusted.
        """
        return f"{public_url.rstrip('/')}/{PAGE}#{self.purpose}={self.token}"
