"""Trusted browsers, whose sign-in attempts have a counter of their own, whatever other clients try.

A browser is trusted for each account that has signed in there. Its cookie gets a new value at each sign-in, which makes
a copied or planted one worthless.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.limits.attempts import Counter, of_device, of_sign_in
from services.api.auth.tokens.digest import digest
from services.kit.database.account_tables import RefreshToken
from services.kit.database.sign_in_tables import SignIn, TrustedDevice

DEVICE_LIFE = timedelta(days=180)
"""Time without a sign-in after which a browser is no longer trusted."""
PER_ACCOUNT = 10
"""Trusted browsers of an account; beyond, the one whose last sign-in is longest ago is deleted."""


async def own_counter(
    session: AsyncSession, user: UUID, device: str | None, refresh: str | None, now: datetime
) -> Counter | None:
    """The counter of a trusted browser, or of a current sign-in of this user.

    None for all others, and for a user that does not exist, so that both look alike from outside.
    """
    if device is not None:
        of_browser = select(TrustedDevice.id).where(
            TrustedDevice.hash == digest(device),
            TrustedDevice.user == user,
            TrustedDevice.last_used_at > now - DEVICE_LIFE,
        )
        trusted = (await session.exec(of_browser)).first()
        if trusted is not None:
            return of_device(trusted)
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


async def trust(session: AsyncSession, user: UUID, present: str | None, now: datetime) -> tuple[UUID, str]:
    """Trust a browser, with the present value of its cookie, for a user who has just signed in there.

    Returns:
        Id of the device, and the new value of its cookie.
    """
    cookie = secrets.token_urlsafe(32)
    if present is not None:
        renew = update(TrustedDevice).where(col(TrustedDevice.hash) == digest(present)).values(hash=digest(cookie))
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
    """Delete all trusted browsers of a user, except that of the sign-in `but`."""
    query = delete(TrustedDevice).where(col(TrustedDevice.user) == user)
    if but is not None:
        kept = select(SignIn.device).where(SignIn.id == but, col(SignIn.device).is_not(None))
        query = query.where(col(TrustedDevice.id).not_in(kept))
    await session.exec(query)


async def forget_unused(session: AsyncSession, now: datetime) -> None:
    """Delete browsers without a sign-in in `DEVICE_LIFE`."""
    await session.exec(delete(TrustedDevice).where(col(TrustedDevice.last_used_at) <= now - DEVICE_LIFE))
