"""Users, their roles and sign-ins, in the database."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import Role
from services.api.problems import Unauthorized
from services.kit.account_tables import ApiKey, Membership, RefreshToken, User


async def find_user(session: AsyncSession, user: UUID) -> User | None:
    """A user who is not disabled."""
    return (await session.exec(select(User).where(User.id == user, col(User.disabled).is_(False)))).first()


async def find_user_by_email(session: AsyncSession, email: str) -> User | None:
    """A user, disabled or not."""
    return (await session.exec(select(User).where(User.email == email.lower()))).first()


async def find_user_of_issuer(session: AsyncSession, subject: str, email: str | None) -> User | None:
    """Whom another issuer means: by what it calls them, or by their address where nobody said what it calls them.

    Raises:
        Unauthorized: the account of this address may be somebody else's, who knows its password.
    """
    enabled = select(User).where(col(User.disabled).is_(False))
    found = (await session.exec(enabled.where(User.subject == subject))).first()
    if found is None and email is not None:
        found = (await session.exec(enabled.where(User.email == email, col(User.subject).is_(None)))).first()
        if found is not None and found.verified_at is None and found.password_hash is not None:
            raise Unauthorized(
                f"Nobody has shown yet that the account {email} is theirs: ask for a new password for it."
            )
    return found


async def roles_of(session: AsyncSession, user: UUID) -> dict[str, Role]:
    """A user's roles, by organization."""
    query = select(Membership.organization, Membership.role).where(Membership.user == user)
    return {organization: Role(role) for organization, role in (await session.exec(query)).all()}


async def is_signed_in(session: AsyncSession, sign_in: UUID, user: UUID, now: datetime) -> bool:
    """Whether a sign-in stands: it was not signed out, nor everywhere, nor was a token of it used twice."""
    query = select(RefreshToken.hash).where(
        RefreshToken.family == sign_in, RefreshToken.user == user, RefreshToken.expires_at > now
    )
    return (await session.exec(query)).first() is not None


async def find_key(session: AsyncSession, prefix: str) -> ApiKey | None:
    """A key by its first part, revoked or not."""
    return (await session.exec(select(ApiKey).where(ApiKey.prefix == prefix))).first()


async def take_refresh_token(session: AsyncSession, hashed: str) -> RefreshToken | None:
    """A refresh token, locked: of two that come with it at once, the second sees what the first made of it."""
    return (await session.exec(select(RefreshToken).where(RefreshToken.hash == hashed).with_for_update())).first()


async def end_sign_in(session: AsyncSession, sign_in: UUID) -> None:
    """Sign out."""
    await session.exec(delete(RefreshToken).where(col(RefreshToken.family) == sign_in))


async def end_sign_ins(session: AsyncSession, user: UUID, *, but: UUID | None = None) -> None:
    """Sign out everywhere, but for one."""
    query = delete(RefreshToken).where(col(RefreshToken.user) == user)
    await session.exec(query if but is None else query.where(col(RefreshToken.family) != but))


async def forget_expired(session: AsyncSession, now: datetime) -> None:
    """Take away the refresh tokens that are of no use any more."""
    await session.exec(delete(RefreshToken).where(col(RefreshToken.expires_at) <= now))
