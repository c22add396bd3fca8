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
from services.kit.database.account_tables import ApiKey, Invitation, Membership, User
from services.kit.database.tables import Organization

_KEPT = timedelta(days=90)


async def find_by_token(session: AsyncSession, token: str, *, lock: bool = False) -> Invitation | None:
    """The invitation of a link; with `lock`, a concurrent request with the same link waits for this transaction."""
    query = select(Invitation).where(Invitation.hash == digest(token))
    return (await session.exec(query.with_for_update() if lock else query)).first()


async def find_pending(session: AsyncSession, organization: Organization, email: str) -> Invitation | None:
    """The invitation that a new one for the same address replaces."""
    query = select(Invitation).where(
        Invitation.organization == organization.id,
        Invitation.email == email,
        col(Invitation.accepted_at).is_(None),
        col(Invitation.revoked_at).is_(None),
    )
    return (await session.exec(query)).first()


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


def _counted(since: datetime) -> SelectOfScalar[int]:
    return select(func.count()).select_from(Invitation).where(col(Invitation.created_at) > since)


async def _role(session: AsyncSession, user: UUID, organization: str) -> str | None:
    membership = await session.get(Membership, (user, organization))
    return None if membership is None else membership.role
