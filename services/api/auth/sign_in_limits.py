"""How often somebody may try to sign in: counted in the database, so that replicas count together.

Strangers are counted by account and by address. A browser that is trusted, and a sign-in that lasts, have counters of
their own: wrong passwords from anywhere else do not keep them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, case, delete, or_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.http.problems import TooMany
from services.kit.database.account_tables import SignInAttempts
from services.kit.network.client_addresses import network_of

WINDOW = timedelta(minutes=15)
PER_ACCOUNT, PER_ADDRESS = 10, 50
CODES_WINDOW, PER_CODES = timedelta(days=1), 20
"""Codes are short: three of a million are right at a time. Ten in a quarter of an hour would find one in a year."""
_CODES = "codes "


@dataclass(frozen=True, slots=True)
class Counter:
    """What tries are counted under, and how many there may be."""

    key: str
    most: int = PER_ACCOUNT
    window: timedelta = WINDOW


def account_key(email: str) -> str:
    """What the tries for an account are counted under."""
    return f"account {email}"


def of_stranger(email: str, address: str) -> tuple[Counter, ...]:
    """The counters of somebody who shows nothing that is known."""
    return Counter(f"address {network_of(address)}", PER_ADDRESS), Counter(account_key(email))


def of_device(device: UUID) -> Counter:
    """The counter of a trusted browser, for the account that it is trusted for."""
    return Counter(f"device {device}")


def of_sign_in(sign_in: UUID) -> Counter:
    """The counter of a sign-in that lasts."""
    return Counter(f"sign-in {sign_in}")


def of_codes(user: UUID) -> Counter:
    """The counter of strangers who know an account's password, and try codes."""
    return Counter(f"{_CODES}{user}", PER_CODES, CODES_WINDOW)


async def count_try(session: AsyncSession, email: str, address: str, now: datetime) -> None:
    """Count a stranger's try for an account, before the password is looked at. See `count`."""
    await count(session, of_stranger(email, address), now)


async def count(session: AsyncSession, counters: Sequence[Counter], now: datetime) -> None:
    """Count a try.

    Raises:
        TooMany: it is one too many; commit the session all the same, so that it is counted.
    """
    since, of_codes = col(SignInAttempts.since), col(SignInAttempts.key).startswith(_CODES)
    old = or_(since <= now - CODES_WINDOW, and_(since <= now - WINDOW, ~of_codes))
    await session.exec(delete(SignInAttempts).where(old))
    for counter in counters:
        times, begun = await _count(session, counter, now)
        if times > counter.most:
            left = int((begun + counter.window - now).total_seconds()) + 1
            raise TooMany(f"That was tried too often. Try again in {left // 60 + 1} minutes.", retry_after=left)


async def forget(session: AsyncSession, counters: Sequence[Counter]) -> None:
    """The right answer was given: begin anew, but for the address."""
    keys = [counter.key for counter in counters if not counter.key.startswith("address ")]
    await session.exec(delete(SignInAttempts).where(col(SignInAttempts.key).in_(keys)))


async def _count(session: AsyncSession, counter: Counter, now: datetime) -> tuple[int, datetime]:
    row = col(SignInAttempts.count), col(SignInAttempts.since)
    begun_anew = row[1] <= now - counter.window
    query = (
        insert(SignInAttempts)
        .values(key=counter.key, count=1, since=now)
        .on_conflict_do_update(
            index_elements=["key"],
            set_={
                "count": case((begun_anew, 1), else_=row[0] + 1),
                "since": case((begun_anew, now), else_=row[1]),
            },
        )
        .returning(*row)
    )
    counted = (await session.exec(query)).one()
    return counted[0], counted[1]
