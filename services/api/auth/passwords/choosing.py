"""A person chooses a password: the one place where an account gets one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth import sign_in_limits
from services.api.auth.repository import end_sign_ins, lock_user
from services.api.auth.second_factor import factors
from services.api.auth.tokens.api_keys import revoke_keys_of
from services.kit.database.account_tables import PasswordReset, RememberedAnswer, User


async def prove(session: AsyncSession, user: User, hashed: str, now: datetime) -> None:
    """Give an account the password that its owner chose, who followed a link that was sent to the account's address.

    Where nobody had shown that before, somebody else may have made the account and know all of it: what they could come
    back by ends here.
    """
    await lock_user(session, user.id, changing=True)
    if user.verified_at is None:
        await _forget_what_others_may_know(session, user, now)
    user.verified_at = user.verified_at or now
    await put_password(session, user, hashed, now)
    await end_sign_ins(session, user.id)
    await sign_in_limits.forget(
        session, [sign_in_limits.Counter(sign_in_limits.account_key(user.email))]
    )  # a stranger's tries lock nobody out


async def put_password(session: AsyncSession, user: User, hashed: str, now: datetime) -> None:
    """Give an account another password; links that would set one more are of no use any more."""
    user.password_hash = hashed
    session.add(user)
    await session.flush()
    await void_resets(session, user, now)


async def void_resets(session: AsyncSession, user: User, now: datetime) -> None:
    """Make the links of an account useless that were not used yet."""
    unused = (col(PasswordReset.user) == user.id) & col(PasswordReset.used_at).is_(None)
    await session.exec(update(PasswordReset).where(unused).values(used_at=now))


async def _forget_what_others_may_know(session: AsyncSession, user: User, now: datetime) -> None:
    await revoke_keys_of(session, user.id, now)
    await factors.remove(session, user.id)
    await session.exec(delete(RememberedAnswer).where(col(RememberedAnswer.who) == user.email))
