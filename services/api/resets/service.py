"""Password resets: request a link, and choose a password with it.

The response to a request reveals nothing about the address: the request is stored, and the outbox looks for the account
later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.dependencies import JudgeDep, PasswordsDep
from services.api.auth.limits.rates import take
from services.api.auth.passwords.choosing import prove, put_change_notice
from services.api.auth.passwords.hashing import checked_length
from services.api.auth.passwords.strength import Strength
from services.api.auth.repository import find_user, find_user_by_email
from services.api.auth.tokens.digest import digest
from services.api.auth.tokens.one_time_links import Link, Purpose
from services.api.clock import Clock
from services.api.dependencies import ClockDep, OutboxDep, SessionsDep, WritableDep
from services.api.http.problems import Gone, NotFound, TooMany
from services.api.invitations.accepting import valid_invitation
from services.api.invitations.repository import organization_of
from services.api.mail import messages
from services.api.mail.addresses import is_plain_address
from services.api.mail.messages import Letter
from services.api.mail.outbox import Prepare
from services.api.resets import repository
from services.api.resets.schemas import ResetLook, StrengthIn, UseIn
from services.api.transaction import committing, writing
from services.kit.database.account_tables import OutgoingMail, PasswordReset, User

HOUR = timedelta(hours=1)
PER_ACCOUNT, PER_ADDRESS = 3, 30
"""Requests an hour, for an account and from an address. Further ones get the same response, and are dropped."""
LOOKS = 300
"""Estimates of passwords an hour, with one link."""


@dataclass(frozen=True, slots=True)
class PasswordResets:
    """Password resets, from the request for a link to the new password.

    An unknown link is NotFound; one that was used, revoked or has expired is Gone.
    """

    sessions: SessionsDep
    writable: WritableDep
    outbox: OutboxDep
    judge: JudgeDep
    passwords: PasswordsDep
    clock: ClockDep

    async def ask(self, email: str, address: str) -> None:
        """Let a link be sent to an account's address, if there is such an account.

        Args:
            address: the client's, by which requests are counted.
        """
        now = self.clock()
        async with committing(self.writable) as session:
            allowed = [
                await take(session, f"resets of {digest(email)}", PER_ACCOUNT, HOUR, now),
                await take(session, f"resets from {address}", PER_ADDRESS, HOUR, now),
            ]
            if all(allowed):
                self.outbox.ask(session, email, now + Purpose.RESET.life)
        self.outbox.wake()

    async def look(self, token: str) -> ResetLook:
        """The account of a link."""
        async with self.sessions() as session:
            row, user = await _valid_reset(session, token, self.clock())
            return ResetLook(email=user.email, expires_at=row.expires_at)

    async def use(self, body: UseIn) -> None:
        """Set an account's password, chosen by the holder of a link; all its sign-ins end.

        Raises:
            Invalid: the password is easily guessed.
        """
        token = body.token.get_secret_value()
        async with self.sessions() as session:
            _, user = await _valid_reset(session, token, self.clock())
        password = checked_length(body.password)
        await self.judge.refuse_weak(password, (user.email, user.name))
        hashed = await self.passwords.hash(password)
        async with writing(self.writable, user.email, self.clock) as session:
            row, user = await _valid_reset(session, token, self.clock(), lock=True)
            row.used_at = self.clock()
            session.add(row)
            await prove(session, user, hashed, self.clock())
            put_change_notice(self.outbox, session, user, self.clock())
        self.outbox.wake()

    async def estimate(self, body: StrengthIn) -> Strength:
        """Estimate the strength of a password for the account of a link, of a reset or an invitation.

        Raises:
            TooMany: more than `LOOKS` estimates in an hour.
        """
        token, now = body.token.get_secret_value(), self.clock()
        async with committing(self.writable) as session:
            about = await _known_of(session, token, now)
            allowed = await take(session, f"estimates by {digest(token)}", LOOKS, HOUR, now)
        if not allowed:
            raise TooMany(
                "{looks} passwords an hour are estimated at most. Choose one, or come back later.",
                600,
                code="too-many-estimates",
                looks=LOOKS,
            )
        return await self.judge.judge(body.password.get_secret_value(), about)


PasswordResetsDep = Annotated[PasswordResets, Depends(PasswordResets)]


def prepare(public_url: str | None, clock: Clock) -> Prepare:
    """A function that writes the mail that `PasswordResets.ask` requested."""

    async def write(session: AsyncSession, mail: OutgoingMail) -> Letter | None:
        user = await find_user_by_email(session, mail.recipient)
        # An account without a password signs in at another issuer, and gets no second way in.
        if (
            user is None
            or user.disabled
            or user.password_hash is None
            or public_url is None
            or not is_plain_address(user.email)
        ):
            return None
        row, link = make(session, user, clock(), mail.expires_at)
        await session.flush()
        mail.about = row.id
        return messages.reset(user.name, link.at(public_url))

    return write


def make(
    session: AsyncSession, user: User, now: datetime, expires: datetime | None = None
) -> tuple[PasswordReset, Link]:
    """Create a reset of an account's password, and its link."""
    link = Link.draw(Purpose.RESET)
    row = PasswordReset(user=user.id, hash=link.hash, created_at=now, expires_at=expires or now + Purpose.RESET.life)
    session.add(row)
    return row, link


async def _known_of(session: AsyncSession, token: str, now: datetime) -> tuple[str, ...]:
    try:
        _, user = await _valid_reset(session, token, now)
    except NotFound:
        invited = await valid_invitation(session, token, now)
        organization = await organization_of(session, invited)
        return invited.email, invited.name, organization.name
    return user.email, user.name


async def _valid_reset(
    session: AsyncSession, token: str, now: datetime, *, lock: bool = False
) -> tuple[PasswordReset, User]:
    row = await repository.find_by_token(session, token, lock=lock)
    if row is None:
        raise NotFound("This link sets no password: open it as it stands in the mail.", code="no-such-reset-link")
    user = await find_user(session, row.user)
    if row.used_at is not None or user is None:
        raise Gone("This link was used already, or a later one was: ask for a new one.", code="reset-link-used")
    if row.expires_at <= now:
        raise Gone("This link has expired: ask for a new one.", code="reset-link-expired")
    return row, user
