"""Operations of `metrica user`, on the database: invitation and reset links, new users, the list of users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Role
from services.api.auth.repository import find_user_by_email
from services.api.auth.tokens.one_time_links import Link
from services.api.clock import utc_now
from services.api.http.problems import Conflict, NotFound
from services.api.invitations import repository, service
from services.api.invitations.schemas import InvitationIn
from services.api.mail.addresses import plain_address
from services.api.members import repository as members
from services.api.resets.service import make as make_reset
from services.api.transaction import COMMAND_LINE, writing_at
from services.kit.database.account_tables import User


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """A new link, and its expiry."""

    link: Link
    until: datetime


@dataclass(frozen=True, slots=True)
class UserRoles:
    """A user with the roles by organization."""

    user: User
    roles: dict[str, str]


async def invite(database_url: str, email: str, organization: str, role: Role | None, name: str = "") -> IssuedLink:
    """Create an invitation. It replaces a pending one, from which it takes omitted values.

    Raises:
        NotFound: there is no such organization.
        Conflict: the address is a member's, or there is no role.
    """
    email = plain_address(email)
    async with writing_at(database_url) as session:
        organization_row = await members.find_organization(session, organization)
        if organization_row is None:
            known = await members.read_organization_ids(session)
            raise NotFound(
                "there is no organization {organization!r}; there are: {known}",
                code="command-no-such-organization",
                organization=organization,
                known=", ".join(known) or "none",
            )
        pending = await repository.find_pending(session, organization_row, email)
        if role is None and pending is None:
            raise Conflict(
                "say in which --role {email} is to join {organization}: viewer, manager or admin",
                code="command-role-needed",
                email=email,
                organization=organization_row.id,
            )
        body = InvitationIn(
            email=email,
            name=name or (pending.name if pending else ""),
            role=role or Role(pending.role if pending else Role.VIEWER),
        )
        row, link = await service.make(
            session, organization_row, body, invited_by=COMMAND_LINE, inviter=None, now=utc_now()
        )
        return IssuedLink(link, row.expires_at)


async def reset(database_url: str, email: str) -> IssuedLink:
    """Create a reset link for an account.

    Raises:
        NotFound: there is no such account.
        Conflict: the account is disabled.
    """
    async with writing_at(database_url) as session:
        user = await find_user_by_email(session, email)
        if user is None:
            raise NotFound(
                "there is no user {email}: `metrica user list` shows them",
                code="command-no-such-user",
                email=email.lower(),
            )
        if user.disabled:
            raise Conflict(
                "{email} is disabled: `metrica user set {email}` lets them in again",
                code="command-user-disabled",
                email=user.email,
            )
        return _reset(session, user)


async def create(database_url: str, email: str, *, superadmin: bool) -> IssuedLink:
    """Create an account without a password, and a reset link for it.

    Raises:
        Conflict: the account exists.
    """
    email = plain_address(email)
    async with writing_at(database_url) as session:
        if await find_user_by_email(session, email) is not None:
            raise Conflict(
                "there is a user {email} already: `metrica user reset {email}` prints a link",
                code="command-user-exists",
                email=email,
            )
        user = User(email=email, superadmin=superadmin, created_at=utc_now())
        session.add(user)
        await session.flush()
        return _reset(session, user)


async def list_users(database_url: str) -> list[UserRoles]:
    """All users, ordered by address."""
    async with writing_at(database_url) as session:
        return [UserRoles(user, roles) for user, roles in await members.read_all(session)]


def _reset(session: AsyncSession, user: User) -> IssuedLink:
    row, link = make_reset(session, user, utc_now())
    return IssuedLink(link, row.expires_at)
