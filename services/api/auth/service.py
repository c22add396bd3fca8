"""Signing in, staying in, signing out."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth import repository
from services.api.auth.digest import digest
from services.api.auth.limits import count_try, forget_tries
from services.api.auth.passwords import Passwords
from services.api.auth.signing import SigningKeys
from services.api.auth.tokens import own_claims
from services.api.clock import Clock
from services.api.database import Sessions
from services.api.problems import TooMany, Unauthorized
from services.kit.account_tables import RefreshToken, User
from services.kit.logs import logger

REFRESH_LIFE = timedelta(days=30)
"""Of a sign-in that is not used."""
GRACE = timedelta(seconds=10)
"""Two tabs of a browser that refresh together use one token twice, and nobody has stolen it."""
WRONG = "The e-mail address or the password is wrong."

log = logger()


@dataclass(frozen=True, slots=True)
class Tokens:
    """What somebody who is signed in holds."""

    access: str
    refresh: str


class SignIns:
    """The built-in accounts' way in and out.

    Args:
        sessions: of READ COMMITTED transactions.
        keys: sign the access tokens.
        passwords: checks them.
        clock: tells the time.
    """

    def __init__(self, sessions: Sessions, keys: SigningKeys, passwords: Passwords, clock: Clock) -> None:
        self._sessions, self._keys, self._passwords, self._clock = sessions, keys, passwords, clock

    async def sign_in(self, email: str, password: str, address: str) -> Tokens:
        """Sign in.

        Args:
            email: in any case of letters.
            password: as typed.
            address: from where; tries are counted by it.

        Raises:
            Unauthorized: there is no such account, it is disabled, or the password is another: nobody learns which.
            TooMany: it was tried too often.
            Unavailable: nothing can be signed here.
        """
        email = email.lower()
        await self._count_try(email, address)
        async with self._sessions() as session:
            user = await repository.find_user_by_email(session, email)
        # No connection is held while the password is looked at: that takes its time, and its turn.
        right = await self._passwords.matches(password, user.password_hash if user else None)
        if user is None or not right or user.disabled:
            log.info("a sign-in was refused", address=address)
            raise Unauthorized(WRONG)
        async with self._sessions() as session, session.begin():
            await forget_tries(session, email)
            await repository.forget_expired(session, self._clock())
            return await self._issue(session, user.id, uuid4())

    async def refresh(self, token: str) -> Tokens:
        """New tokens for a refresh token, which is used up by that.

        Raises:
            Unauthorized: it is not valid; where it was used before, whoever holds the new ones is signed out, too.
        """
        now, stolen = self._clock(), False
        async with self._sessions() as session, session.begin():
            row = await repository.take_refresh_token(session, digest(token))
            if row is not None and row.used_at is not None and now > row.used_at + GRACE:
                stolen = True
                await repository.end_sign_in(session, row.family)
            elif row is not None and row.expires_at > now and await repository.find_user(session, row.user):
                row.used_at = row.used_at or now
                session.add(row)
                return await self._issue(session, row.user, row.family)
        if stolen:
            log.warning("a refresh token was used twice; its sign-in is ended")
            raise Unauthorized("This sign-in was used by two: it is ended. Sign in again.")
        raise Unauthorized("This sign-in has ended: sign in again.")

    async def sign_out(self, token: str | None, sign_in: UUID | None) -> None:
        """End a sign-in, known by its refresh token or by itself. One that has ended is no error."""
        async with self._sessions() as session, session.begin():
            row = await repository.take_refresh_token(session, digest(token)) if token else None
            for family in {row.family if row else None, sign_in} - {None}:
                assert family is not None
                await repository.end_sign_in(session, family)

    async def sign_out_everywhere(self, user: UUID) -> None:
        """End all of a user's sign-ins."""
        async with self._sessions() as session, session.begin():
            await repository.end_sign_ins(session, user)

    async def check_password(self, user: User, password: str, address: str) -> None:
        """Make sure that it is really them.

        Raises:
            Unauthorized: the password is another.
            TooMany: it was tried too often.
        """
        await self._count_try(user.email, address)
        if not await self._passwords.matches(password, user.password_hash):
            raise Unauthorized("That is not your present password.")

    async def _count_try(self, email: str, address: str) -> None:
        refused: TooMany | None = None
        async with self._sessions() as session, session.begin():
            try:
                await count_try(session, email, address, self._clock())
            except TooMany as error:
                refused = error  # the count stays
        if refused is not None:
            raise refused

    async def _issue(self, session: AsyncSession, user: UUID, sign_in: UUID) -> Tokens:
        now, refresh = self._clock(), secrets.token_urlsafe(32)
        access = await self._keys.sign(own_claims(user, sign_in, now))
        session.add(_refresh_token(refresh, user, sign_in, now))
        return Tokens(access, refresh)


def _refresh_token(token: str, user: UUID, sign_in: UUID, now: datetime) -> RefreshToken:
    return RefreshToken(hash=digest(token), family=sign_in, user=user, issued_at=now, expires_at=now + REFRESH_LIFE)
