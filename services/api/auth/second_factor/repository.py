"""Queries of second factors and recovery codes. Of two requests with the same code, one alone succeeds."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import delete, func, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.kit.database.sign_in_tables import RecoveryCode, SecondFactor


async def find(session: AsyncSession, user: UUID) -> SecondFactor | None:
    """A user's second factor that is in force."""
    query = select(SecondFactor).where(SecondFactor.user == user, col(SecondFactor.confirmed_at).is_not(None))
    return (await session.exec(query)).first()


async def lock(session: AsyncSession, user: UUID) -> SecondFactor | None:
    """A user's second factor, in force or not, locked until the transaction ends."""
    return (await session.exec(select(SecondFactor).where(SecondFactor.user == user).with_for_update())).first()


async def move_on(session: AsyncSession, user: UUID, step: int) -> bool:
    """Advance the time step of the last code. Returns whether it was an earlier one."""
    used = col(SecondFactor.last_step)
    query = update(SecondFactor).where(col(SecondFactor.user) == user, or_(used.is_(None), used < step))
    return (await session.exec(query.values(last_step=step).returning(col(SecondFactor.user)))).first() is not None


async def remove(session: AsyncSession, user: UUID) -> bool:
    """Remove a user's second factor. Returns whether one was in force."""
    row = await lock(session, user)
    if row is None:
        return False
    await replace_recovery_codes(session, user, ())
    was_on = row.confirmed_at is not None
    await session.delete(row)
    await session.flush()
    return was_on


async def replace_recovery_codes(session: AsyncSession, user: UUID, hashes: Iterable[str]) -> None:
    """Replace a user's recovery codes."""
    await session.exec(delete(RecoveryCode).where(col(RecoveryCode.user) == user))
    session.add_all(RecoveryCode(user=user, hash=hashed) for hashed in hashes)
    await session.flush()


async def recovery_codes_left(session: AsyncSession, user: UUID) -> int:
    """Number of unused recovery codes."""
    return (await session.exec(select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user == user))).one()


async def take_recovery_code(session: AsyncSession, user: UUID, hashed: str) -> bool:
    """Delete a recovery code. Returns whether there was one."""
    taken = delete(RecoveryCode).where(col(RecoveryCode.user) == user, col(RecoveryCode.hash) == hashed)
    return (await session.exec(taken.returning(col(RecoveryCode.user)))).first() is not None
