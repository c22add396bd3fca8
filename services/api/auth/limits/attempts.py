"""Limits of sign-in attempts.

Unknown clients are counted by account and by address. Trusted browsers and current sign-ins have counters of their own,
so that wrong passwords from elsewhere do not lock them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.limits import repository
from services.api.http.problems import TooMany
from services.kit.database.account_tables import SignInAttempts
from services.kit.network.client_addresses import network_of

WINDOW = timedelta(minutes=15)
PER_ACCOUNT, PER_ADDRESS = 10, 50
CODES_WINDOW, PER_CODES = timedelta(days=1), 20
"""Codes are short: three of a million are right at a time. Ten attempts in 15 minutes would find one in a year."""
_CODES = "codes "


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter's key, and its limit in a window."""

    key: str
    most: int = PER_ACCOUNT
    window: timedelta = WINDOW


def account_key(email: str) -> str:
    """Key of the counter of an account."""
    return f"account {email}"


def of_stranger(email: str, address: str) -> tuple[Counter, ...]:
    """The counters of a client that is neither a trusted browser nor signed in."""
    return Counter(f"address {network_of(address)}", PER_ADDRESS), Counter(account_key(email))


def of_device(device: UUID) -> Counter:
    """The counter of a trusted browser, for one account."""
    return Counter(f"device {device}")


def of_sign_in(sign_in: UUID) -> Counter:
    """The counter of a current sign-in."""
    return Counter(f"sign-in {sign_in}")


def of_codes(user: UUID) -> Counter:
    """The counter of unknown clients that have an account's password and try codes."""
    return Counter(f"{_CODES}{user}", PER_CODES, CODES_WINDOW)


async def count(session: AsyncSession, counters: Sequence[Counter], now: datetime) -> None:
    """Count an attempt.

    Raises:
        TooMany: above a limit. The caller commits all the same, so that the attempt counts.
    """
    await repository.forget_old_attempts(session, now - WINDOW, _CODES, now - CODES_WINDOW)
    for counter in counters:
        times, begun = await repository.count_up(session, SignInAttempts, counter.key, counter.window, now)
        if times > counter.most:
            left = int((begun + counter.window - now).total_seconds()) + 1
            raise TooMany(
                "That was tried too often. Try again in {minutes} minutes.",
                retry_after=left,
                code="tried-too-often",
                minutes=left // 60 + 1,
            )


async def forget(session: AsyncSession, counters: Sequence[Counter]) -> None:
    """Reset the counters after a right answer, except that of the address."""
    keys = [counter.key for counter in counters if not counter.key.startswith("address ")]
    await repository.reset_attempts(session, keys)
