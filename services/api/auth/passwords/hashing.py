"""Passwords: argon2id, beside the event loop, a few at a time."""

from __future__ import annotations

import asyncio
import secrets
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import SecretStr

from services.api.http.problems import Invalid

SHORTEST, LONGEST = 12, 200
_AT_ONCE = 2
"""Each takes 46 MiB for some 50 ms; others wait."""


class Passwords:
    """Makes and checks hashes."""

    def __init__(self) -> None:
        # The first of OWASP's equivalent settings.
        self._hasher = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str) -> str:
        """The hash of a password."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Whether it is the password. Of who has none it takes as long to say no: nobody learns who has an account."""
        async with self._turn:
            return await asyncio.to_thread(self._matches, password, hashed)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())

    def _matches(self, password: str, hashed: str | None) -> bool:
        try:
            return self._hasher.verify(hashed or self._nobodys, password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False


def new_password() -> str:
    """A password drawn at random."""
    return secrets.token_urlsafe(18)


def checked_length(password: SecretStr | None, where: str = "password") -> str:
    """A password that somebody chose.

    Raises:
        Invalid: there is none, or it is too short or too long.
    """
    chosen = "" if password is None else password.get_secret_value()
    if not SHORTEST <= len(chosen) <= LONGEST:
        raise Invalid(f"Choose a password of {SHORTEST} to {LONGEST} characters.", where)
    return chosen
