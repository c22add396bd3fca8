"""Invitations: create, list and revoke, within limits.

The response reveals nothing about the address: it is the same whether or not the address has an account in another
organization.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Principal, Role
from services.api.access.repository import readable_organization
from services.api.auth.tokens.one_time_links import Link, Purpose
from services.api.http.pagination import Page, PageRequest
from services.api.http.problems import Conflict, NotFound, TooMany
from services.api.invitations import repository
from services.api.invitations.schemas import InvitationIn, InvitationOut, NewInvitationOut
from services.api.mail import messages
from services.api.mail.outbox import Outbox
from services.api.mail.repository import withdraw
from services.api.settings import ApiSettings
from services.kit.database.account_tables import Invitation
from services.kit.database.tables import Organization

DAY = timedelta(days=1)
PER_ORGANIZATION, PER_INVITER, PER_ADDRESS = 50, 100, 5
"""Invitations a day: of an organization, by one user or key, and of an organization to one address."""


async def invite(
    session: AsyncSession,
    principal: Principal,
    organization: Organization,
    body: InvitationIn,
    outbox: Outbox,
    settings: ApiSettings,
    now: datetime,
) -> NewInvitationOut:
    """Create an invitation, which replaces an earlier one to the same address, and send it.

    Raises:
        Conflict: the address is a member's.
        TooMany: a limit of invitations a day is reached.
    """
    await _refuse_floods(session, principal, organization, body.email, now)
    inviter = principal.user or principal.key
    row, link = await make(session, organization, body, invited_by=principal.name, inviter=inviter, now=now)
    if settings.public_url is not None:
        letter = messages.invitation(row.name, organization.name, row.role, link.at(settings.public_url))
        outbox.put(session, row.email, letter, row.id, row.expires_at)
    fields = InvitationOut.of(row, now).model_dump()
    return NewInvitationOut(**fields, delivery="mail" if settings.mails else "operator")


async def make(
    session: AsyncSession,
    organization: Organization,
    body: InvitationIn,
    *,
    invited_by: str,
    inviter: UUID | None,
    now: datetime,
) -> tuple[Invitation, Link]:
    """Create an invitation and its link, replacing an earlier one to the same address.

    Raises:
        Conflict: the address is a member's.
    """
    if await repository.is_member(session, organization, body.email):
        raise Conflict(
            "{email} is a member of {organization} already: change their role.",
            code="member-already",
            email=body.email,
            organization=organization.id,
        )
    earlier = await repository.find_pending(session, organization, body.email)
    if earlier is not None:
        await _revoke(session, earlier, now)
    await repository.forget_old(session, now)
    link = Link.draw(Purpose.INVITATION)
    row = Invitation(
        organization=organization.id,
        **body.model_dump(),
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
    session: AsyncSession, principal: Principal, organization: str, page: PageRequest, now: datetime
) -> Page[InvitationOut]:
    """A page of invitations that were neither accepted nor revoked, ordered by id."""
    organization_row = await readable_organization(session, principal, organization, Role.ADMIN)
    pending = await repository.read_pending(session, organization_row, page)
    return pending.show(lambda row: InvitationOut.of(row, now))


async def revoke(
    session: AsyncSession, principal: Principal, organization: str, invitation: UUID, now: datetime
) -> None:
    """Revoke an invitation: its link becomes invalid, and an unsent mail is deleted.

    Raises:
        NotFound: there is no such invitation.
        Conflict: it was accepted.
    """
    organization_row = await readable_organization(session, principal, organization, Role.ADMIN)
    row = await repository.lock(session, organization_row, invitation)
    if row is None:
        raise NotFound(
            "There is no invitation {invitation} of {organization}.",
            code="no-such-invitation",
            invitation=invitation,
            organization=organization_row.id,
        )
    if row.accepted_at is not None:
        raise Conflict(
            "{email} has accepted it: let the member go.", code="invitation-accepted-by-member", email=row.email
        )
    await _revoke(session, row, now)


async def _revoke(session: AsyncSession, row: Invitation, now: datetime) -> None:
    row.revoked_at = row.revoked_at or now
    session.add(row)
    await session.flush()  # before another invitation to the same address is inserted
    await withdraw(session, row.id)


async def _refuse_floods(
    session: AsyncSession, principal: Principal, organization: Organization, email: str, now: datetime
) -> None:
    """Check the limits. The counts are exact, since transactions of changes are serialized."""
    since = now - DAY
    for made, most, subject in (
        (await repository.count_of(session, organization, since), PER_ORGANIZATION, f"to {organization.id}"),
        (await repository.count_by(session, principal, since), PER_INVITER, f"by {principal.name}"),
        (await repository.count_of(session, organization, since, email), PER_ADDRESS, f"of {email}"),
    ):
        if made >= most:
            raise TooMany(
                "{most} invitations {subject} within a day are the most. Try again tomorrow.",
                3600,
                code="too-many-invitations",
                most=most,
                subject=subject,
            )
