"""Accepts invitations: the holder of a link proves to own the account, and becomes a member."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Principal, Role
from services.api.auth.dependencies import GuestDep, JudgeDep, PasswordsDep
from services.api.auth.passwords.choosing import prove
from services.api.auth.passwords.hashing import checked_length
from services.api.auth.repository import find_user_by_email
from services.api.dependencies import ClockDep, SessionsDep, WritableDep
from services.api.http.problems import Conflict, Forbidden, Gone, NotFound, Unauthorized
from services.api.invitations import repository
from services.api.invitations.schemas import AcceptedOut, AcceptIn, InvitationLook, Needs
from services.api.transaction import writing
from services.kit.database.account_tables import Invitation, Membership, User


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Accepts invitations, for the holder of a link that `valid_invitation` accepts."""

    principal: GuestDep
    sessions: SessionsDep
    writable: WritableDep
    judge: JudgeDep
    passwords: PasswordsDep
    clock: ClockDep

    async def look(self, token: str) -> InvitationLook:
        """An invitation, and the step that is needed to accept it."""
        async with self.sessions() as session:
            row = await valid_invitation(session, token, self.clock())
            user = await find_user_by_email(session, row.email)
            organization = await repository.organization_of(session, row)
            return InvitationLook(
                organization=organization.name,
                needs=_needs(user, self.principal),
                **row.model_dump(include={"email", "name", "role", "invited_by", "expires_at"}),
            )

    async def accept(self, body: AcceptIn) -> AcceptedOut:
        """Make the invited person a member, and an account where there is none.

        Raises:
            Invalid: a password has to be chosen, and is missing or easily guessed.
            Unauthorized: the account has an owner, who has to sign in.
            Forbidden: another account is signed in.
        """
        token, hashed = body.token.get_secret_value(), None
        async with self.sessions() as session:
            row = await valid_invitation(session, token, self.clock())
            user = await find_user_by_email(session, row.email)
            organization = await repository.organization_of(session, row)
        if _check_needs(user, self.principal, row) is Needs.PASSWORD:
            password = checked_length(body.password)
            about = (row.email, body.name or row.name, user.name if user else "", organization.name)
            await self.judge.refuse_weak(password, about)
            hashed = await self.passwords.hash(password)
        async with writing(self.writable, row.email, self.clock) as session:
            return await _accept(session, self.principal, token, body.name, hashed, self.clock())


AcceptanceDep = Annotated[Acceptance, Depends(Acceptance)]


async def valid_invitation(session: AsyncSession, token: str, now: datetime, *, lock: bool = False) -> Invitation:
    """The invitation of a link, if it can be accepted.

    Raises:
        NotFound: no invitation has such a link.
        Gone: it was accepted, revoked, or has expired.
    """
    row = await repository.find_by_token(session, token, lock=lock)
    if row is None:
        raise NotFound(
            "This link is of no invitation: open it as it stands in the mail.", code="no-such-invitation-link"
        )
    if row.accepted_at is not None:
        raise Gone("This invitation was accepted already: sign in.", code="invitation-accepted")
    if row.revoked_at is not None:
        raise Gone(
            "This invitation was taken back, or replaced by a newer one: look for a later mail.",
            code="invitation-revoked",
        )
    if row.expires_at <= now:
        raise Gone("This invitation has expired: ask for a new one.", code="invitation-expired")
    if not await repository.may_still_invite(session, row):
        raise Gone(
            "{inviter}, who invited you, may not do so any more: ask for a new invitation.",
            code="inviter-lost-right",
            inviter=row.invited_by,
        )
    return row


async def _accept(
    session: AsyncSession, principal: Principal | None, token: str, name: str | None, hashed: str | None, now: datetime
) -> AcceptedOut:
    """Accept in a serialized transaction, after checking all conditions once more."""
    row = await valid_invitation(session, token, now, lock=True)
    user = await find_user_by_email(session, row.email)
    needs = _check_needs(user, principal, row)
    if user is None:
        user = User(email=row.email, name=row.name, created_at=now)
    if needs is Needs.PASSWORD:
        if hashed is None:
            raise Conflict(
                "The account has changed meanwhile: open the link once more.", code="account-changed-meanwhile"
            )
        user.name = name or user.name
        await prove(session, user, hashed, now)
    if await repository.has_joined(session, row, user):
        raise Conflict(
            "You are a member of {organization} already.", code="you-are-a-member", organization=row.organization
        )
    session.add(Membership(user=user.id, organization=row.organization, role=row.role))
    row.accepted_at = now
    session.add(row)
    return AcceptedOut(email=row.email, organization=row.organization, role=Role(row.role))


def _needs(user: User | None, principal: Principal | None) -> Needs:
    """The step that the holder of the link needs to accept.

    An account without a verified owner may have a password that another person chose: being signed in to it proves
    nothing. If it has no password, it can only be signed in by another issuer, which has verified the address.
    """
    if user is None:
        return Needs.PASSWORD
    if user.disabled:
        raise Forbidden(
            "The account of this address is disabled: ask who runs this Metrica.", code="invited-account-disabled"
        )
    signed_in = principal is not None and principal.user == user.id
    if user.verified_at is None:
        return Needs.NOTHING if signed_in and user.password_hash is None else Needs.PASSWORD
    return Needs.NOTHING if signed_in else Needs.SIGN_IN


def _check_needs(user: User | None, principal: Principal | None, row: Invitation) -> Needs:
    needs = _needs(user, principal)
    if needs is not Needs.SIGN_IN:
        return needs
    if principal is None:
        raise Unauthorized(
            "{email} has an account: sign in as {email}, and accept then.", code="sign-in-to-accept", email=row.email
        )
    raise Forbidden(
        "You are signed in as {name}, and {email} is invited: sign in as {email}.",
        code="signed-in-as-another",
        name=principal.name,
        email=row.email,
    )
