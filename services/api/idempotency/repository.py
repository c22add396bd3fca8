"""Queries of remembered responses."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.kit.database.account_tables import RememberedAnswer


async def find_answer(session: AsyncSession, who: str, key: str) -> RememberedAnswer | None:
    """The response to a principal's request with a key."""
    query = select(RememberedAnswer).where(RememberedAnswer.who == who, RememberedAnswer.key == key)
    return (await session.exec(query)).first()


async def forget_answers(session: AsyncSession, until: datetime) -> None:
    """Delete responses that were sent until a time."""
    await session.exec(delete(RememberedAnswer).where(col(RememberedAnswer.at) <= until))
