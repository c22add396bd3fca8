"""What somebody holds who is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a sign-in, and until when each is good."""

    access: str
    refresh: str
    access_until: datetime
    refresh_until: datetime


@dataclass(frozen=True, slots=True)
class Entered:
    """A sign-in that has just begun; of a browser, with what its cookie of a trusted device is to hold."""

    tokens: Tokens
    device: str | None
