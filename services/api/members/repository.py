"""Queries of members and users."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Role
from services.api.http.pagination import PageRequest
from services.kit.database.account_tables import Membership, User
from services.kit.database.tables import Organization


async def read_members(
    session: AsyncSession, organization: Organization, page: PageRequest
) -> tuple[list[tuple[User, Membership]], str | None]:
    """A page of an organization's members, ordered by user id, and the cursor of the next page."""
    query = select(Membership).where(Membership.organization == organization.id)
    memberships, after = await page.read(session, query, col(Membership.user), UUID)
    ids = [membership.user for membership in memberships]
    users = {user.id: user for user in (await session.exec(select(User).where(col(User.id).in_(ids)))).all()}
    return [(users[membership.user], membership) for membership in memberships], after


async def find_member(session: AsyncSession, organization: Organization, user: UUID) -> tuple[User, Membership] | None:
    """A member of an organization."""
    query = select(User, Membership).where(
        User.id == Membership.user, Membership.user == user, Membership.organization == organization.id
    )
    return (await session.exec(query)).first()


async def has_other_admin(session: AsyncSession, organization: Organization, user: UUID) -> bool:
    """Tell whether an organization has an admin besides a user."""
    query = select(Membership.user).where(
        Membership.organization == organization.id, Membership.role == Role.ADMIN, Membership.user != user
    )
    return (await session.exec(query.limit(1))).first() is not None


async def read_users(session: AsyncSession, page: PageRequest) -> tuple[Sequence[User], str | None]:
    """A page of all users, ordered by id, and the cursor of the next page."""
    return await page.read(session, select(User), col(User.id), UUID)


async def is_subject_taken(session: AsyncSession, subject: str, user: UUID) -> bool:
    """Tell whether another user than `user` has a subject."""
    query = select(User.id).where(User.subject == subject, User.id != user)
    return (await session.exec(query)).first() is not None
