"""Queries of invitations."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from services.api.access.principal import Principal, Role
from services.api.auth.tokens.digest import digest
from services.api.http.pagination import PageRequest, Rows
from services.api.http.repository import read_page
from services.kit.database.account_tables import ApiKey, Invitation, Membership, User
from services.kit.database.tables import Organization

_KEPT = timedelta(days=90)


async def find_by_token(session: AsyncSession, token: str, *, lock: bool = False) -> Invitation | None:
    """The invitation of a link; with `lock`, a concurrent request with the same link waits for this transaction."""
    query = select(Invitation).where(Invitation.hash == digest(token))
    return (await session.exec(query.with_for_update() if lock else query)).first()


async def lock(session: AsyncSession, organization: Organization, invitation: UUID) -> Invitation | None:
    """An invitation of an organization, locked until the transaction ends."""
    query = select(Invitation).where(Invitation.id == invitation, Invitation.organization == organization.id)
    return (await session.exec(query.with_for_update())).first()


async def find_pending(session: AsyncSession, organization: Organization, email: str) -> Invitation | None:
    """The invitation that a new one for the same address replaces."""
    return (await session.exec(_pending(organization).where(Invitation.email == email))).first()


async def read_pending(session: AsyncSession, organization: Organization, page: PageRequest) -> Rows[Invitation]:
    """A page of invitations that were neither accepted nor revoked, ordered by id."""
    return await read_page(session, page, _pending(organization), col(Invitation.id), UUID)


async def organization_of(session: AsyncSession, invitation: Invitation) -> Organization:
    """The organization that an invitation, found by its token, is to."""
    return await session.get_one(Organization, invitation.organization)


async def count_of(session: AsyncSession, organization: Organization, since: datetime, email: str | None = None) -> int:
    """Number of invitations of an organization since a time, in total or to one address."""
    query = _counted(since).where(Invitation.organization == organization.id)
    return (await session.exec(query if email is None else query.where(Invitation.email == email))).one()


async def count_by(session: AsyncSession, principal: Principal, since: datetime) -> int:
    """Number of invitations by a principal since a time."""
    return (await session.exec(_counted(since).where(Invitation.invited_by == principal.name))).one()


async def is_member(session: AsyncSession, organization: Organization, email: str) -> bool:
    """Tell whether an address belongs to a member. One query, whose time does not reveal other memberships."""
    query = select(Membership.user).where(
        Membership.user == User.id, User.email == email, Membership.organization == organization.id
    )
    return (await session.exec(query)).first() is not None


async def has_joined(session: AsyncSession, invitation: Invitation, user: User) -> bool:
    """Tell whether the account of an invitation, found by its token, is a member's."""
    return await _role(session, user.id, invitation.organization) is not None


async def may_still_invite(session: AsyncSession, invitation: Invitation) -> bool:
    """Tell whether the inviter may still invite."""
    if invitation.inviter is None:
        return True
    key = await session.get(ApiKey, invitation.inviter)
    if key is not None:
        return key.revoked_at is None and (key.organization, key.role) == (invitation.organization, Role.ADMIN)
    user = await session.get(User, invitation.inviter)
    if user is None or user.disabled:
        return False
    return user.superadmin or await _role(session, user.id, invitation.organization) == Role.ADMIN


async def forget_old(session: AsyncSession, now: datetime) -> None:
    """Delete invitations older than `_KEPT`; the audit log keeps them."""
    await session.exec(delete(Invitation).where(col(Invitation.created_at) < now - _KEPT))


def _pending(organization: Organization) -> SelectOfScalar[Invitation]:
    return select(Invitation).where(
        Invitation.organization == organization.id,
        col(Invitation.accepted_at).is_(None),
        col(Invitation.revoked_at).is_(None),
    )


def _counted(since: datetime) -> SelectOfScalar[int]:
    return select(func.count()).select_from(Invitation).where(col(Invitation.created_at) > since)


async def _role(session: AsyncSession, user: UUID, organization: str) -> str | None:
    membership = await session.get(Membership, (user, organization))
    return None if membership is None else membership.role
