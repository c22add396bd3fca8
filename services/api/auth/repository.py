"""Queries of users and their roles."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Role
from services.api.http.problems import Unauthorized
from services.kit.database.account_tables import Membership, User
from services.kit.database.tables import Organization


async def find_user(session: AsyncSession, user: UUID) -> User | None:
    """A user; None if there is none or it is disabled."""
    return (await session.exec(select(User).where(User.id == user, col(User.disabled).is_(False)))).first()


async def find_user_by_email(session: AsyncSession, email: str) -> User | None:
    """The user of an e-mail address, even if disabled."""
    return (await session.exec(select(User).where(User.email == email.lower()))).first()


async def find_user_of_issuer(session: AsyncSession, subject: str, email: str | None) -> User | None:
    """The user of another issuer's token: by subject, or by e-mail address if the account has no subject.

    Raises:
        Unauthorized: the account's owner is not verified, so that its password may be known to another person.
    """
    enabled = select(User).where(col(User.disabled).is_(False))
    user_row = (await session.exec(enabled.where(User.subject == subject))).first()
    if user_row is None and email is not None:
        user_row = (await session.exec(enabled.where(User.email == email, col(User.subject).is_(None)))).first()
        if user_row is not None and user_row.verified_at is None and user_row.password_hash is not None:
            raise Unauthorized(
                "Nobody has shown yet that the account {email} is theirs: ask for a new password for it.",
                code="address-not-verified",
                email=email,
            )
    return user_row


async def lock_user(session: AsyncSession, user: UUID, *, changing: bool = False) -> User | None:
    """A user who is not disabled, locked against changes of its password until the transaction ends.

    A transaction that changes passwords or second factors locks for `changing`, so that it waits for sign-ins that have
    begun, and ends them, too.
    """
    query = select(User).where(User.id == user, col(User.disabled).is_(False))
    return (await session.exec(query.with_for_update(read=not changing))).first()


async def roles_of(session: AsyncSession, user: UUID) -> tuple[dict[str, Role], list[str]]:
    """A user's roles by organization, and the ids of those organizations that require a second factor."""
    query = (
        select(Membership.organization, Membership.role, Organization.second_factor)
        .where(Membership.user == user, Membership.organization == Organization.id)
        .order_by(Membership.organization)
    )
    rows = (await session.exec(query)).all()
    roles = {organization: Role(role) for organization, role, _ in rows}
    return roles, [organization for organization, _, asks in rows if asks]


async def has_users(session: AsyncSession) -> bool:
    """Tell whether there is any user."""
    return (await session.exec(select(User.id).limit(1))).first() is not None
