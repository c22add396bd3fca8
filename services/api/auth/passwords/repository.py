"""Queries of what a new password makes invalid."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from services.kit.database.account_tables import PasswordReset, RememberedAnswer, User


async def void_resets(session: AsyncSession, user: User, now: datetime) -> None:
    """Invalidate the reset links of an account."""
    unused = (col(PasswordReset.user) == user.id) & col(PasswordReset.used_at).is_(None)
    await session.exec(update(PasswordReset).where(unused).values(used_at=now))


async def forget_answers(session: AsyncSession, user: User) -> None:
    """Delete the responses that are remembered for an account by its address."""
    await session.exec(delete(RememberedAnswer).where(col(RememberedAnswer.who) == user.email))
