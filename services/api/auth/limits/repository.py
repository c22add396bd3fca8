"""Queries of counters. Each counts in windows, of which the first event of a counter begins one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import and_, case, delete, or_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from services.kit.database.account_tables import Allowance, SignInAttempts


async def count_up(
    session: AsyncSession, kind: type[Allowance | SignInAttempts], key: str, window: timedelta, now: datetime
) -> tuple[int, datetime]:
    """Count an event, and return the number of events in the window and its start."""
    count, since = col(kind.count), col(kind.since)
    over = since <= now - window
    query = (
        insert(kind)
        .values(key=key, count=1, since=now)
        .on_conflict_do_update(
            index_elements=["key"],
            set_={"count": case((over, 1), else_=count + 1), "since": case((over, now), else_=since)},
        )
        .returning(count, since)
    )
    counted = (await session.exec(query)).one()
    return counted[0], counted[1]


async def forget_allowances(session: AsyncSession, until: datetime) -> None:
    """Delete allowances whose window began until a time."""
    await session.exec(delete(Allowance).where(col(Allowance.since) <= until))


async def forget_old_attempts(session: AsyncSession, until: datetime, kept: str, kept_until: datetime) -> None:
    """Delete counters of attempts that began until a time; those whose keys begin with `kept`, until `kept_until`."""
    since, is_kept = col(SignInAttempts.since), col(SignInAttempts.key).startswith(kept)
    old = or_(since <= kept_until, and_(since <= until, ~is_kept))
    await session.exec(delete(SignInAttempts).where(old))


async def reset_attempts(session: AsyncSession, keys: Sequence[str]) -> None:
    """Delete counters of attempts."""
    await session.exec(delete(SignInAttempts).where(col(SignInAttempts.key).in_(keys)))
