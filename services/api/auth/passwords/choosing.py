"""Sets passwords of accounts."""

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
    """Set the password that an account's owner chose, with a link that was sent to the account's address.

    If the owner was not verified before, another person may have created the account: keys, second factor and stored
    responses from then are removed.
    """
    await lock_user(session, user.id, changing=True)
    if user.verified_at is None:
        await _forget_what_others_may_know(session, user, now)
    user.verified_at = user.verified_at or now
    await put_password(session, user, hashed, now)
    await end_sign_ins(session, user.id)
    await sign_in_limits.forget(
        session, [sign_in_limits.Counter(sign_in_limits.account_key(user.email))]
    )  # attempts of others must not lock the owner out


async def put_password(session: AsyncSession, user: User, hashed: str, now: datetime) -> None:
    """Set a password, and invalidate the account's open reset links."""
    user.password_hash = hashed
    session.add(user)
    await session.flush()
    await void_resets(session, user, now)


async def void_resets(session: AsyncSession, user: User, now: datetime) -> None:
    """Invalidate the reset links of an account."""
    unused = (col(PasswordReset.user) == user.id) & col(PasswordReset.used_at).is_(None)
    await session.exec(update(PasswordReset).where(unused).values(used_at=now))


async def _forget_what_others_may_know(session: AsyncSession, user: User, now: datetime) -> None:
    await revoke_keys_of(session, user.id, now)
    await factors.remove(session, user.id)
    await session.exec(delete(RememberedAnswer).where(col(RememberedAnswer.who) == user.email))
