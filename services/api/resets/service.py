"""Asking for a new password, and choosing it.

Whoever asks learns nothing about the address: the request is written down and answered, and the account is looked for
later, by what sends the mail.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.passwords.choosing import prove
from services.api.auth.passwords.hashing import checked_length
from services.api.auth.passwords.strength import Strength
from services.api.auth.rate_limits import take
from services.api.auth.repository import find_user_by_email
from services.api.auth.tokens.digest import digest
from services.api.clock import Clock
from services.api.http.problems import Gone, NotFound, TooMany
from services.api.invitations.accepting import standing as standing_invitation
from services.api.links import Link, Purpose
from services.api.mail import messages
from services.api.mail.addresses import plain_address
from services.api.mail.messages import Letter
from services.api.mail.outbox import Prepare
from services.api.resets.schemas import ResetLook, StrengthIn, UseIn
from services.api.state import Parts
from services.api.transaction import writing
from services.kit.database.account_tables import OutgoingMail, PasswordReset, User
from services.kit.database.tables import Organization

HOUR = timedelta(hours=1)
PER_ACCOUNT, PER_ADDRESS = 3, 30
"""Requests an hour, for an account and from an address. What is more is answered the same, and forgotten."""
LOOKS = 300
"""Estimates of passwords an hour, by one link."""
NOTICE_LIFE = timedelta(days=1)


async def ask(of: Parts, email: str, address: str) -> None:
    """Let a link be sent to an account's address, if there is such an account.

    Args:
        of: the application's parts.
        email: as typed.
        address: from where.
    """
    now = of.clock()
    async with of.writable() as session, session.begin():
        allowed = [
            await take(session, f"resets of {digest(email)}", PER_ACCOUNT, HOUR, now),
            await take(session, f"resets from {address}", PER_ADDRESS, HOUR, now),
        ]
        if all(allowed):
            of.outbox.ask(session, email, now + Purpose.RESET.life)
    of.outbox.wake()


def prepare(public_url: str | None, clock: Clock) -> Prepare:
    """What writes the mail that `ask` asked for."""

    async def write(session: AsyncSession, mail: OutgoingMail) -> Letter | None:
        user = await find_user_by_email(session, mail.recipient)
        # Who signs in elsewhere is not given a second way in.
        if user is None or user.disabled or user.password_hash is None or public_url is None or not _mailable(user):
            return None
        row, link = make(session, user, clock(), mail.expires_at)
        await session.flush()
        mail.about = row.id
        return messages.reset(user.name, link.at(public_url))

    return write


def make(
    session: AsyncSession, user: User, now: datetime, expires: datetime | None = None
) -> tuple[PasswordReset, Link]:
    """A reset of an account, and its link."""
    link = Link.draw(Purpose.RESET)
    row = PasswordReset(user=user.id, hash=link.hash, created_at=now, expires_at=expires or now + Purpose.RESET.life)
    session.add(row)
    return row, link


async def look(of: Parts, token: str) -> ResetLook:
    """Whose password a link sets.

    Raises:
        NotFound: no reset has such a link.
        Gone: it was used, or has expired.
    """
    async with of.sessions() as session:
        found, user = await _standing(session, token, of.clock())
        return ResetLook(email=user.email, expires_at=found.expires_at)


async def use(of: Parts, wanted: UseIn) -> None:
    """Give an account the password that its owner chose; all its sign-ins end.

    Raises:
        NotFound: no reset has such a link.
        Gone: it was used, or has expired.
        Invalid: the password is easily guessed.
    """
    token = wanted.token.get_secret_value()
    async with of.sessions() as session:
        _, user = await _standing(session, token, of.clock())
    password = checked_length(wanted.password)
    await of.judge.refuse_weak(password, (user.email, user.name))
    hashed = await of.passwords.hash(password)
    async with writing(of.writable, user.email, of.clock) as session:
        found, user = await _standing(session, token, of.clock(), lock=True)
        found.used_at = of.clock()
        session.add(found)
        await prove(session, user, hashed, of.clock())
        tell_of_change(of, session, user)
    of.outbox.wake()


def tell_of_change(of: Parts, session: AsyncSession, user: User) -> None:
    """Write to an account's owner that its password is another now."""
    if _mailable(user):
        of.outbox.put(session, user.email, messages.changed(user.name), None, of.clock() + NOTICE_LIFE)


async def judge(of: Parts, wanted: StrengthIn) -> Strength:
    """How easily a password is guessed that is to be the one of a link's account.

    Raises:
        NotFound: there is no such link.
        Gone: it was used, revoked, or has expired.
        TooMany: it was asked too often.
    """
    token, now = wanted.token.get_secret_value(), of.clock()
    async with of.writable() as session, session.begin():
        about = await _known_of(session, token, now)
        allowed = await take(session, f"estimates by {digest(token)}", LOOKS, HOUR, now)
    if not allowed:
        raise TooMany(f"{LOOKS} passwords an hour are estimated at most. Choose one, or come back later.", 600)
    return await of.judge.judge(wanted.password.get_secret_value(), about)


async def _known_of(session: AsyncSession, token: str, now: datetime) -> tuple[str, ...]:
    try:
        _, user = await _standing(session, token, now)
    except NotFound:
        invited = await standing_invitation(session, token, now)
        organization = await session.get_one(Organization, invited.organization)
        return invited.email, invited.name, organization.name
    return user.email, user.name


async def _standing(
    session: AsyncSession, token: str, now: datetime, *, lock: bool = False
) -> tuple[PasswordReset, User]:
    query = select(PasswordReset).where(PasswordReset.hash == digest(token))
    found = (await session.exec(query.with_for_update() if lock else query)).first()
    if found is None:
        raise NotFound("This link sets no password: open it as it stands in the mail.")
    user = (await session.exec(select(User).where(User.id == found.user, col(User.disabled).is_(False)))).first()
    if found.used_at is not None or user is None:
        raise Gone("This link was used already, or a later one was: ask for a new one.")
    if found.expires_at <= now:
        raise Gone("This link has expired: ask for a new one.")
    return found, user


def _mailable(user: User) -> bool:
    try:
        return plain_address(user.email) == user.email
    except ValueError:
        return False
