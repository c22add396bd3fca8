"""Results of signing in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a sign-in, and their expiry times."""

    access: str
    refresh: str
    access_until: datetime
    refresh_until: datetime


@dataclass(frozen=True, slots=True)
class Entered:
    """A new sign-in; of a browser, with the value for its cookie of a trusted device."""

    tokens: Tokens
    device: str | None
