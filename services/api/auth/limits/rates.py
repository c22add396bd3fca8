"""Rate limits."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.limits import repository
from services.kit.database.account_tables import Allowance

LONGEST = timedelta(days=1)
"""Longest window, and age at which a count is deleted."""


async def take(session: AsyncSession, key: str, most: int, within: timedelta, now: datetime) -> bool:
    """Count an event once the transaction commits. Returns whether it is one of the `most` in a window.

    Args:
        key: identifies the kind of event and its subject.
        most: events allowed in a window.
        within: length of a window, which begins with its first event; at most `LONGEST`.
    """
    assert within <= LONGEST
    await repository.forget_allowances(session, now - LONGEST)
    times, _ = await repository.count_up(session, Allowance, key, within, now)
    return times <= most
