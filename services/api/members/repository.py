"""Queries of members and users."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Role
from services.api.http.pagination import PageRequest, Rows
from services.api.http.repository import read_page
from services.kit.database.account_tables import Membership, User
from services.kit.database.tables import Organization

Member = tuple[User, Membership]


async def read_members(session: AsyncSession, organization: Organization, page: PageRequest) -> Rows[Member]:
    """A page of an organization's members, ordered by user id."""
    query = select(Membership).where(Membership.organization == organization.id)
    members = await read_page(session, page, query, col(Membership.user), UUID)
    ids = [membership.user for membership in members.rows]
    users = {user.id: user for user in (await session.exec(select(User).where(col(User.id).in_(ids)))).all()}
    return Rows([(users[membership.user], membership) for membership in members.rows], members.next)


async def find_member(session: AsyncSession, organization: Organization, user: UUID) -> Member | None:
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


async def read_users(session: AsyncSession, page: PageRequest) -> Rows[User]:
    """A page of all users, ordered by id."""
    return await read_page(session, page, select(User), col(User.id), UUID)


async def find_user(session: AsyncSession, user: UUID) -> User | None:
    """A user, even if disabled."""
    return await session.get(User, user)


async def find_organization(session: AsyncSession, organization: str) -> Organization | None:
    """An organization, for the operator."""
    return await session.get(Organization, organization)


async def read_organization_ids(session: AsyncSession) -> Sequence[str]:
    """The ids of all organizations, for the operator."""
    return (await session.exec(select(Organization.id).order_by(col(Organization.id)))).all()


async def read_all(session: AsyncSession) -> list[tuple[User, dict[str, str]]]:
    """All users, ordered by address, with their roles by organization; for the operator."""
    roles: defaultdict[UUID, dict[str, str]] = defaultdict(dict)
    for row in await session.exec(select(Membership).order_by(col(Membership.organization))):
        roles[row.user][row.organization] = row.role
    return [(user, roles[user.id]) for user in await session.exec(select(User).order_by(col(User.email)))]


async def is_subject_taken(session: AsyncSession, subject: str, user: UUID) -> bool:
    """Tell whether another user than `user` has a subject."""
    query = select(User.id).where(User.subject == subject, User.id != user)
    return (await session.exec(query)).first() is not None
