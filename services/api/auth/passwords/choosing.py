"""Sets passwords of accounts, and tells their owners."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.limits import attempts
from services.api.auth.passwords import repository
from services.api.auth.repository import lock_user
from services.api.auth.second_factor import repository as second_factors
from services.api.auth.sign_ins import repository as sign_ins
from services.api.auth.tokens.repository import revoke_keys_of
from services.api.mail import messages
from services.api.mail.addresses import is_plain_address
from services.api.mail.outbox import Outbox
from services.kit.database.account_tables import User

NOTICE_LIFE = timedelta(days=1)


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
    await sign_ins.end_all(session, user.id)
    # Attempts of others must not lock the owner out.
    await attempts.forget(session, [attempts.Counter(attempts.account_key(user.email))])


async def put_password(session: AsyncSession, user: User, hashed: str, now: datetime) -> None:
    """Set a password, and invalidate the account's open reset links."""
    user.password_hash = hashed
    session.add(user)
    await session.flush()
    await repository.void_resets(session, user, now)


def put_change_notice(outbox: Outbox, session: AsyncSession, user: User, now: datetime) -> None:
    """Send a notice once the transaction is committed, where the account's address can receive mail."""
    if is_plain_address(user.email):
        outbox.put(session, user.email, messages.changed(user.name), None, now + NOTICE_LIFE)


async def _forget_what_others_may_know(session: AsyncSession, user: User, now: datetime) -> None:
    await revoke_keys_of(session, user.id, now)
    await second_factors.remove(session, user.id)
    await repository.forget_answers(session, user)
