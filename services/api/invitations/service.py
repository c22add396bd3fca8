"""Inviting people: who may, how often, and what becomes of it.

Whoever invites learns nothing about the address: the same is done for one that has an account in another organization
and for one that has none.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import Principal, Role, readable_organization
from services.api.auth.tokens.one_time_links import Link, Purpose
from services.api.clock import Clock
from services.api.http.pagination import Asked
from services.api.http.problems import Conflict, NotFound, TooMany
from services.api.invitations import repository
from services.api.invitations.schemas import InvitationIn, InvitationOut, NewInvitationOut
from services.api.mail import messages
from services.api.mail.outbox import Outbox, withdraw
from services.api.settings import ApiSettings
from services.kit.database.account_tables import Invitation
from services.kit.database.tables import Organization

DAY = timedelta(days=1)
PER_ORGANIZATION, PER_INVITER, PER_ADDRESS = 50, 100, 5
"""Invitations a day: of an organization, by one person or key, and of an organization to one address."""


async def invite(
    session: AsyncSession,
    principal: Principal,
    organization: str,
    wanted: InvitationIn,
    outbox: Outbox,
    settings: ApiSettings,
    clock: Clock,
) -> NewInvitationOut:
    """Invite somebody in place of an earlier invitation.

    Raises:
        Conflict: they are a member already.
        TooMany: there were too many invitations today.
    """
    found, now = await readable_organization(session, principal, organization, Role.ADMIN), clock()
    await _refuse_floods(session, principal, found, wanted.email, now)
    inviter = principal.user or principal.key
    row, link = await make(session, found, wanted, invited_by=principal.name, inviter=inviter, now=now)
    if settings.public_url is not None:
        letter = messages.invitation(row.name, found.name, row.role, link.at(settings.public_url))
        outbox.put(session, row.email, letter, row.id, row.expires_at)
    shown = InvitationOut.of(row, now).model_dump()
    return NewInvitationOut(**shown, delivery="mail" if settings.mails else "operator")


async def make(
    session: AsyncSession,
    organization: Organization,
    wanted: InvitationIn,
    *,
    invited_by: str,
    inviter: UUID | None,
    now: datetime,
) -> tuple[Invitation, Link]:
    """Make an invitation and its link; an earlier one for the same address is replaced.

    Raises:
        Conflict: they are a member already.
    """
    if await repository.is_member(session, organization, wanted.email):
        raise Conflict(f"{wanted.email} is a member of {organization.id} already: change their role.")
    earlier = await repository.find_pending(session, organization, wanted.email)
    if earlier is not None:
        await _revoke(session, earlier, now)
    await repository.forget_old(session, now)
    link = Link.draw(Purpose.INVITATION)
    row = Invitation(
        organization=organization.id,
        email=wanted.email,
        name=wanted.name,
        role=wanted.role,
        hash=link.hash,
        invited_by=invited_by,
        inviter=inviter,
        created_at=now,
        expires_at=now + Purpose.INVITATION.life,
    )
    session.add(row)
    await session.flush()
    return row, link


async def list_pending(
    session: AsyncSession, principal: Principal, organization: str, page: Asked, now: datetime
) -> tuple[list[InvitationOut], str | None]:
    """The invitations that were neither accepted nor revoked, by their ids."""
    found = await readable_organization(session, principal, organization, Role.ADMIN)
    query = select(Invitation).where(
        Invitation.organization == found.id,
        col(Invitation.accepted_at).is_(None),
        col(Invitation.revoked_at).is_(None),
    )
    rows, after = await page.read(session, query, col(Invitation.id), UUID)
    return [InvitationOut.of(row, now) for row in rows], after


async def revoke(
    session: AsyncSession, principal: Principal, organization: str, invitation: UUID, now: datetime
) -> None:
    """Take an invitation back: its link lets nobody in, and a mail that has not left yet stays here.

    Raises:
        Conflict: it was accepted.
    """
    found = await readable_organization(session, principal, organization, Role.ADMIN)
    query = select(Invitation).where(Invitation.id == invitation, Invitation.organization == found.id)
    row = (await session.exec(query.with_for_update())).first()
    if row is None:
        raise NotFound(f"There is no invitation {invitation} of {found.id}.")
    if row.accepted_at is not None:
        raise Conflict(f"{row.email} has accepted it: let the member go.")
    await _revoke(session, row, now)


async def _revoke(session: AsyncSession, row: Invitation, now: datetime) -> None:
    row.revoked_at = row.revoked_at or now
    session.add(row)
    await session.flush()  # before another one for the same address is pending
    await withdraw(session, row.id)


async def _refuse_floods(
    session: AsyncSession, principal: Principal, organization: Organization, email: str, now: datetime
) -> None:
    """Exact, as one writer at a time gets here."""
    since = now - DAY
    for made, most, whose in (
        (await repository.count_of(session, organization, since), PER_ORGANIZATION, f"to {organization.id}"),
        (await repository.count_by(session, principal, since), PER_INVITER, f"by {principal.name}"),
        (await repository.count_of(session, organization, since, email), PER_ADDRESS, f"of {email}"),
    ):
        if made >= most:
            raise TooMany(f"{most} invitations {whose} within a day are the most. Try again tomorrow.", 3600)
