"""Users, their roles and sign-ins, in the database."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import Role
from services.api.auth import sign_ins
from services.api.http.problems import Unauthorized
from services.kit.database.account_tables import Membership, RefreshToken, User
from services.kit.database.sign_in_tables import SignIn
from services.kit.database.tables import Organization


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


async def lock_user(session: AsyncSession, user: UUID, *, changing: bool = False) -> User | None:
    """A user who is not disabled, and stays as they are until the transaction ends: nobody changes their password.

    Whoever changes what signing in takes locks them for `changing`: no sign-in that began before is missed then.
    """
    query = select(User).where(User.id == user, col(User.disabled).is_(False))
    return (await session.exec(query.with_for_update(read=not changing))).first()


async def roles_of(session: AsyncSession, user: UUID) -> tuple[dict[str, Role], list[str]]:
    """A user's roles, by organization, and those of the organizations that ask for a second factor."""
    query = (
        select(Membership.organization, Membership.role, Organization.second_factor)
        .where(Membership.user == user, Membership.organization == Organization.id)
        .order_by(Membership.organization)
    )
    found = (await session.exec(query)).all()
    roles = {organization: Role(role) for organization, role, _ in found}
    return roles, [organization for organization, _, asks in found if asks]


async def is_signed_in(session: AsyncSession, sign_in: UUID, user: UUID, now: datetime) -> bool:
    """Whether a sign-in stands: it was not signed out, nor everywhere, nor was a token of it used twice."""
    return await sign_ins.find(session, sign_in, user, now) is not None


async def take_refresh_token(session: AsyncSession, hashed: str) -> tuple[SignIn, RefreshToken] | None:
    """A refresh token and its sign-in, locked: of two that come with it at once, the second sees what the first did."""
    family = select(RefreshToken.family).where(RefreshToken.hash == hashed)
    sign_in = (await session.exec(select(SignIn).where(col(SignIn.id).in_(family)).with_for_update())).first()
    if sign_in is None:
        return None
    token = (await session.exec(select(RefreshToken).where(RefreshToken.hash == hashed))).first()
    return None if token is None else (sign_in, token)


async def end_sign_ins(session: AsyncSession, user: UUID, *, but: UUID | None = None) -> None:
    """Sign out everywhere, but for one; no other browser is trusted any more."""
    await sign_ins.end_all(session, user, but=but)
