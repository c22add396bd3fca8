"""Hashes passwords with argon2id, in threads, two at a time."""

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
"""Hashes at a time: each takes 46 MiB for some 50 ms."""


class Passwords:
    """Hashes and verifies passwords."""

    def __init__(self) -> None:
        # The first of OWASP's equivalent settings.
        self._hasher = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str) -> str:
        """The hash of a password."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Tell whether a password is right. Takes as long without a hash, which hides whether an account exists."""
        async with self._turn:
            return await asyncio.to_thread(self._matches, password, hashed)

    @cached_property
    def _decoy_hash(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())

    def _matches(self, password: str, hashed: str | None) -> bool:
        try:
            return self._hasher.verify(hashed or self._decoy_hash, password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False


def new_password() -> str:
    """A random password."""
    return secrets.token_urlsafe(18)


def checked_length(password: SecretStr | None, where: str = "password") -> str:
    """A chosen password, once its length is allowed.

    Raises:
        Invalid: it is missing, too short or too long.
    """
    chosen = "" if password is None else password.get_secret_value()
    if not SHORTEST <= len(chosen) <= LONGEST:
        raise Invalid(
            "Choose a password of {shortest} to {longest} characters.",
            where,
            code="password-length",
            shortest=SHORTEST,
            longest=LONGEST,
        )
    return chosen
