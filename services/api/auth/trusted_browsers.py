"""Browsers that are trusted: who signs in there tries on a counter of their own, whatever strangers try.

A browser is trusted for each account that signed in there. What its cookie holds is drawn anew at each sign-in, so that
one that was copied, or put there by somebody else, is worth nothing after it.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.sign_in_limits import Counter, of_device, of_sign_in
from services.api.auth.tokens.digest import digest
from services.kit.database.account_tables import RefreshToken
from services.kit.database.sign_in_tables import SignIn, TrustedDevice

DEVICE_LIFE = timedelta(days=180)
"""Of a browser in which nobody signs in."""
PER_ACCOUNT = 10
"""The browsers that an account trusts; the one that was longest without a sign-in makes room."""


async def own_counter(
    session: AsyncSession, user: UUID, device: str | None, refresh: str | None, now: datetime
) -> Counter | None:
    """The counter of somebody who shows that they were signed in as this user: a trusted browser, or a live sign-in.

    None for everybody else, and for a user who does not exist: from outside the two are the same.
    """
    if device is not None:
        of_browser = select(TrustedDevice.id).where(
            TrustedDevice.hash == digest(device),
            TrustedDevice.user == user,
            TrustedDevice.last_used_at > now - DEVICE_LIFE,
        )
        found = (await session.exec(of_browser)).first()
        if found is not None:
            return of_device(found)
    if refresh is not None:
        of_program = select(SignIn.id).where(
            SignIn.id == RefreshToken.family,
            SignIn.user == user,
            SignIn.ends_at > now,
            RefreshToken.hash == digest(refresh),
            col(RefreshToken.used_at).is_(None),
        )
        sign_in = (await session.exec(of_program)).first()
        if sign_in is not None:
            return of_sign_in(sign_in)
    return None


async def trust(session: AsyncSession, user: UUID, shown: str | None, now: datetime) -> tuple[UUID, str]:
    """Trust the browser in which a user has just signed in.

    Args:
        session: a transaction.
        user: who signed in.
        shown: what its cookie holds so far.
        now: the time.

    Returns:
        The device, and what its cookie is to hold from now on.
    """
    cookie = secrets.token_urlsafe(32)
    if shown is not None:
        renew = update(TrustedDevice).where(col(TrustedDevice.hash) == digest(shown)).values(hash=digest(cookie))
        await session.exec(renew)
    known = select(TrustedDevice).where(TrustedDevice.hash == digest(cookie), TrustedDevice.user == user)
    device = (await session.exec(known)).first()
    if device is None:
        device = TrustedDevice(hash=digest(cookie), user=user, last_used_at=now)
    device.last_used_at = now
    session.add(device)
    await session.flush()
    newest = (
        select(TrustedDevice.id)
        .where(TrustedDevice.user == user)
        .order_by(col(TrustedDevice.last_used_at).desc(), (col(TrustedDevice.id) == device.id).desc())
        .limit(PER_ACCOUNT)
    )
    await session.exec(
        delete(TrustedDevice).where(col(TrustedDevice.user) == user, col(TrustedDevice.id).not_in(newest))
    )
    return device.id, cookie


async def end_trust(session: AsyncSession, user: UUID, *, but: UUID | None = None) -> None:
    """Trust no browser of a user's any more, but for the one of a sign-in."""
    query = delete(TrustedDevice).where(col(TrustedDevice.user) == user)
    if but is not None:
        kept = select(SignIn.device).where(SignIn.id == but, col(SignIn.device).is_not(None))
        query = query.where(col(TrustedDevice.id).not_in(kept))
    await session.exec(query)


async def forget_unused(session: AsyncSession, now: datetime) -> None:
    """Take away the browsers in which nobody signed in for long."""
    await session.exec(delete(TrustedDevice).where(col(TrustedDevice.last_used_at) <= now - DEVICE_LIFE))
