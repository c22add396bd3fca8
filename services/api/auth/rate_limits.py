"""How often something may be done in a time: counted in the database, so that replicas count together."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import case, delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from services.kit.database.account_tables import Allowance

LONGEST = timedelta(days=1)
"""No count is kept longer."""


async def take(session: AsyncSession, key: str, most: int, within: timedelta, now: datetime) -> bool:
    """Count once more; tells whether that is still allowed.

    Args:
        session: in a transaction, which must be committed for it to count.
        key: what is counted.
        most: so many times.
        within: from the first time on; at most `LONGEST`.
        now: the time.
    """
    assert within <= LONGEST
    await session.exec(delete(Allowance).where(col(Allowance.since) <= now - LONGEST))
    over = col(Allowance.since) <= now - within
    query = (
        insert(Allowance)
        .values(key=key, count=1, since=now)
        .on_conflict_do_update(
            index_elements=["key"],
            set_={
                "count": case((over, 1), else_=col(Allowance.count) + 1),
                "since": case((over, now), else_=col(Allowance.since)),
            },
        )
        .returning(col(Allowance.count))
    )
    count: int = (await session.exec(query)).one()[0]
    return count <= most
