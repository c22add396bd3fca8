"""Rate limits, counted in the database so that replicas share them."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import case, delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from services.kit.database.account_tables import Allowance

LONGEST = timedelta(days=1)
"""Age at which a count is deleted."""


async def take(session: AsyncSession, key: str, most: int, within: timedelta, now: datetime) -> bool:
    """Count an event. Returns whether it is within the limit.

    Args:
        session: in a transaction; the event counts once it commits.
        key: identifies the kind of event and its subject.
        most: events allowed in a window.
        within: length of a window, which begins with its first event; at most `LONGEST`.
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
