"""Removes a second factor that its owner has lost."""

from __future__ import annotations

from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth import repository
from services.api.auth.second_factor import repository as second_factors
from services.api.auth.sign_ins import repository as sign_ins
from services.api.transaction import writing_at
from services.kit.logs import logger

log = logger()


async def remove_and_sign_out(session: AsyncSession, user: UUID) -> bool:
    """Remove a user's second factor and end their sign-ins. Returns whether there was one."""
    await repository.lock_user(session, user, changing=True)
    if not await second_factors.remove(session, user):
        return False
    await sign_ins.end_all(session, user)
    log.warning("a second factor was removed for its owner", user=str(user))
    return True


async def remove_lost_factor(database_url: str, email: str) -> bool:
    """Remove a second factor from the command line. Returns whether there was one."""
    async with writing_at(database_url) as session:
        user = await repository.find_user_by_email(session, email)
        return user is not None and await remove_and_sign_out(session, user.id)
