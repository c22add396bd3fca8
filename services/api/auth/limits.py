"""How often somebody may try to sign in: counted in the database, so that replicas count together."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import case, delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.problems import TooMany
from services.kit.account_tables import SignInAttempts

WINDOW = timedelta(minutes=15)
PER_ACCOUNT, PER_ADDRESS = 10, 50


def account_key(email: str) -> str:
    """What the tries for an account are counted under."""
    return f"account {email}"


async def count_try(session: AsyncSession, email: str, address: str, now: datetime) -> None:
    """Count a try for an account from an address, before the password is looked at.

    Raises:
        TooMany: it is one too many; commit the session all the same, so that it is counted.
    """
    await session.exec(delete(SignInAttempts).where(col(SignInAttempts.since) <= now - WINDOW))
    for key, limit in ((f"address {address}", PER_ADDRESS), (account_key(email), PER_ACCOUNT)):
        count, since = await _count(session, key, now)
        if count > limit:
            left = int((since + WINDOW - now).total_seconds()) + 1
            raise TooMany(f"That was tried too often. Try again in {left // 60 + 1} minutes.", retry_after=left)


async def forget_tries(session: AsyncSession, email: str) -> None:
    """The right password was given: begin anew for the account, not for the address."""
    await session.exec(delete(SignInAttempts).where(col(SignInAttempts.key) == account_key(email)))


async def _count(session: AsyncSession, key: str, now: datetime) -> tuple[int, datetime]:
    row = col(SignInAttempts.count), col(SignInAttempts.since)
    begun_anew = row[1] <= now - WINDOW
    query = (
        insert(SignInAttempts)
        .values(key=key, count=1, since=now)
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
