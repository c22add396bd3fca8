"""Queries of outgoing mail."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from services.kit.database.account_tables import OutgoingMail


async def withdraw(session: AsyncSession, about: UUID) -> None:
    """Delete the unsent mail about an object, given by its id."""
    await session.exec(delete(OutgoingMail).where(col(OutgoingMail.about) == about))


async def take(session: AsyncSession, now: datetime, taken_for: timedelta) -> OutgoingMail | None:
    """Take the next due mail for a time, in which no other replica takes it; None if no mail is due."""
    due = (
        select(col(OutgoingMail.id))
        .where(col(OutgoingMail.next_at) <= now)
        .order_by(col(OutgoingMail.next_at))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    query = (
        update(OutgoingMail)
        .where(col(OutgoingMail.id) == due.scalar_subquery())
        .values(attempts=col(OutgoingMail.attempts) + 1, next_at=now + taken_for)
        .returning(OutgoingMail)
    )
    return (await session.exec(query)).scalar_one_or_none()


async def put_off(session: AsyncSession, mail: UUID, until: datetime) -> None:
    """Let a mail be sent at a later time."""
    await session.exec(update(OutgoingMail).where(col(OutgoingMail.id) == mail).values(next_at=until))


async def forget(session: AsyncSession, mail: UUID) -> None:
    """Delete a mail that was sent, or cannot be."""
    await session.exec(delete(OutgoingMail).where(col(OutgoingMail.id) == mail))
