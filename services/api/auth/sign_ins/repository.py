"""Queries of sign-ins and refresh tokens.

A transaction that changes a sign-in locks its row before any of its refresh tokens, so that ending and refreshing do
not deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.trusted_browsers import repository as trusted_browsers
from services.api.auth.visitor import Visitor
from services.api.database import Sessions
from services.api.transaction import committing
from services.kit.database.account_tables import RefreshToken
from services.kit.database.sign_in_tables import SignIn
from services.kit.logs import logger

LIFE = timedelta(days=30)
"""Longest life of a sign-in, however often it is refreshed."""
MOST = 100
"""Sign-ins of an account in browsers, and as many of programs; beyond, the least recently used is deleted."""
NOTED_EVERY = timedelta(minutes=1)

log = logger()


async def begin(session: AsyncSession, user: UUID, visitor: Visitor, device: UUID | None, now: datetime) -> SignIn:
    """Begin a sign-in."""
    begun = SignIn(
        id=uuid4(),
        user=user,
        began_at=now,
        last_used_at=now,
        ends_at=now + LIFE,
        browser=visitor.browser,
        agent=visitor.agent,
        address=visitor.address,
        device=device,
    )
    session.add(begun)
    await session.flush()
    kept = (
        select(SignIn.id)
        .where(SignIn.user == user, SignIn.browser == visitor.browser)
        .order_by(col(SignIn.last_used_at).desc(), (col(SignIn.id) == begun.id).desc())
        .limit(MOST)
    )
    too_many = col(SignIn.user) == user, col(SignIn.browser) == visitor.browser, col(SignIn.id).not_in(kept)
    await session.exec(delete(SignIn).where(*too_many))
    return begun


async def find(session: AsyncSession, sign_in: UUID, user: UUID, now: datetime) -> SignIn | None:
    """A current sign-in: one that was not ended and is not too old."""
    query = select(SignIn).where(SignIn.id == sign_in, SignIn.user == user, SignIn.ends_at > now)
    return (await session.exec(query)).first()


async def list_of(session: AsyncSession, user: UUID, now: datetime) -> Sequence[SignIn]:
    """A user's current sign-ins, most recently used first."""
    query = select(SignIn).where(SignIn.user == user, SignIn.ends_at > now)
    return (await session.exec(query.order_by(col(SignIn.last_used_at).desc(), col(SignIn.id)))).all()


async def take_refresh_token(session: AsyncSession, hashed: str) -> tuple[SignIn, RefreshToken] | None:
    """A refresh token and its sign-in, locked: a concurrent request with the same token waits for this transaction."""
    family = select(RefreshToken.family).where(RefreshToken.hash == hashed)
    sign_in = (await session.exec(select(SignIn).where(col(SignIn.id).in_(family)).with_for_update())).first()
    if sign_in is None:
        return None
    token = (await session.exec(select(RefreshToken).where(RefreshToken.hash == hashed))).first()
    return None if token is None else (sign_in, token)


async def find_refresh_token(session: AsyncSession, hashed: str) -> RefreshToken | None:
    """A refresh token."""
    return await session.get(RefreshToken, hashed)


async def note_use(sessions: Sessions, sign_in: SignIn, now: datetime) -> None:
    """Record the use of a sign-in, to about a minute."""
    if now - sign_in.last_used_at < NOTED_EVERY:
        return
    async with committing(sessions) as session:
        stale = col(SignIn.last_used_at) <= now - NOTED_EVERY
        await session.exec(update(SignIn).where(col(SignIn.id) == sign_in.id, stale).values(last_used_at=now))


async def end(session: AsyncSession, sign_in: UUID, user: UUID | None, why: str) -> bool:
    """End a sign-in, of `user` if given. Returns whether there was one."""
    query = delete(SignIn).where(col(SignIn.id) == sign_in)
    if user is not None:
        query = query.where(col(SignIn.user) == user)
    ended = (await session.exec(query.returning(col(SignIn.user)))).first()
    if ended is not None:
        log.info("a sign-in was ended", user=str(ended[0]), sign_in=str(sign_in), why=why)
    return ended is not None


async def end_all(session: AsyncSession, user: UUID, *, but: UUID | None = None) -> None:
    """End all sign-ins and trusted browsers of a user, except the sign-in `but` and its browser."""
    await trusted_browsers.end_trust(session, user, but=but)
    query = delete(SignIn).where(col(SignIn.user) == user)
    if but is not None:
        query = query.where(col(SignIn.id) != but)
    ended = (await session.exec(query.returning(col(SignIn.id)))).all()
    log.info("the sign-ins of an account were ended", user=str(user), number=len(ended), but=but and str(but))


async def forget_ended(session: AsyncSession, now: datetime) -> None:
    """Delete sign-ins that are too old, 200 at a time, skipping rows that another replica is deleting."""
    old = select(SignIn.id).where(SignIn.ends_at <= now).limit(200).with_for_update(skip_locked=True)
    await session.exec(delete(SignIn).where(col(SignIn.id).in_(old)))
