"""Queries of keys of machines, and of the keys that sign tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.kit.database.account_tables import ApiKey, SigningKey

WORKER = "worker"
"""Role of an edge key, which only sends crossings."""
_LOCK = 0x6D657472_7369676E  # "metrsign": two replicas that start on an empty database create one key


async def find_key(session: AsyncSession, key: UUID) -> ApiKey | None:
    """A key that was not revoked."""
    return (await session.exec(select(ApiKey).where(ApiKey.id == key, col(ApiKey.revoked_at).is_(None)))).first()


async def find_key_by_prefix(session: AsyncSession, prefix: str) -> ApiKey | None:
    """The key that begins so, even if revoked."""
    return (await session.exec(select(ApiKey).where(ApiKey.prefix == prefix))).first()


async def note_key_use(session: AsyncSession, key: UUID, now: datetime, every: timedelta) -> None:
    """Record the use of a key, unless one of the time `every` is recorded already."""
    used = col(ApiKey.last_used_at)
    stale = or_(used.is_(None), used <= now - every)
    await session.exec(update(ApiKey).where(col(ApiKey.id) == key, stale).values(last_used_at=now))


async def revoke_keys_of(
    session: AsyncSession, user: UUID, now: datetime, organization: str | None = None, but: Collection[str] = ()
) -> None:
    """Revoke the API keys that a user made and may no longer make. Edge keys stay, since they read nothing.

    Args:
        organization: restricts it to one organization.
        but: organizations in which the user may still make keys.
    """
    query = select(ApiKey).where(ApiKey.made_by == user, ApiKey.role != WORKER, col(ApiKey.revoked_at).is_(None))
    if organization is not None:
        query = query.where(ApiKey.organization == organization)
    for key in (await session.exec(query.where(col(ApiKey.organization).not_in(but)))).all():
        key.revoked_at = now
        session.add(key)


async def read_signing_keys(session: AsyncSession) -> Sequence[SigningKey]:
    """All keys that sign tokens, newest first."""
    query = select(SigningKey).order_by(col(SigningKey.created_at).desc(), col(SigningKey.kid))
    return (await session.exec(query)).all()


async def lock_signing_keys(session: AsyncSession) -> None:
    """Wait for other transactions that may create a key, until this one ends."""
    await (await session.connection()).execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
