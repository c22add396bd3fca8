"""Sign-ins of the built-in accounts: sign in, refresh, sign out."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth import repository
from services.api.auth.limits import attempts
from services.api.auth.limits.attempts import Counter
from services.api.auth.passwords.hashing import Passwords
from services.api.auth.second_factor import repository as second_factors
from services.api.auth.second_factor.factors import SecondFactorNeeded, SecondFactors, WrongCode
from services.api.auth.sign_ins import repository as sign_ins
from services.api.auth.signed_in import Entered, Tokens
from services.api.auth.tokens.access_tokens import LIFE, own_claims
from services.api.auth.tokens.digest import digest
from services.api.auth.tokens.signing_keys import SigningKeys
from services.api.auth.trusted_browsers import repository as trusted_browsers
from services.api.auth.visitor import Visitor
from services.api.clock import Clock
from services.api.database import Sessions
from services.api.http.problems import TooMany, Unauthorized
from services.api.transaction import committing
from services.kit.database.account_tables import RefreshToken, User
from services.kit.database.sign_in_tables import SignIn
from services.kit.logs import logger
from services.kit.vault import CannotOpen, Vault

REFRESH_LIFE = sign_ins.LIFE
"""Life of an unused refresh token: that of its sign-in."""
GRACE = timedelta(seconds=10)
"""Time in which a refresh token may be used again: two tabs that refresh at once are no theft."""
WRONG = "The e-mail address or the password is wrong."
NEEDED = "Your account has a second factor: send a code of your authenticator app, or a recovery code, as `code`."
_NO_USER = UUID(int=0)

log = logger()


@dataclass(frozen=True, slots=True)
class Known:
    """A client whose password was right, and the counters of its attempts."""

    user: User
    visitor: Visitor
    counters: Sequence[Counter]
    trusted: bool


class SignIns:
    """Sign-ins of the built-in accounts; the vault seals the successor of a refresh token."""

    def __init__(
        self,
        sessions: Sessions,
        keys: SigningKeys,
        passwords: Passwords,
        factors: SecondFactors,
        vault: Vault,
        clock: Clock,
    ) -> None:
        self._sessions, self._keys, self._passwords, self._clock = sessions, keys, passwords, clock
        self._factors, self._vault = factors, vault

    async def sign_in(self, email: str, password: str, code: str | None, visitor: Visitor) -> Entered:
        """Sign in.

        Args:
            email: in upper or lower case.
            code: of a second factor, if one was sent.

        Raises:
            Unauthorized: there is no such account, it is disabled, or the password is wrong; the message is the same.
            SecondFactorNeeded: the password is right, and no code was sent.
            WrongCode: the password is right, and the code is wrong.
            TooMany: too many attempts.
            Unavailable: there is no secret key to sign tokens with.
        """
        known = await self._check(email.lower(), password, visitor)
        if code is not None and not known.trusted and await self._has_second_factor(known.user.id):
            codes = attempts.of_codes(known.user.id)
            await self._count([codes], visitor, known.user.id)
            known = Known(known.user, visitor, [*known.counters, codes], trusted=False)
        try:
            return await self._enter(known, code)
        except SecondFactorNeeded:
            _log_refused(known.user.id, visitor, "a second factor is needed")
            raise
        except WrongCode:
            _log_refused(known.user.id, visitor, "a wrong code after the right password", worth_a_warning=True)
            raise

    async def refresh(self, token: str) -> Tokens:
        """Exchange a refresh token for new tokens. Within `GRACE`, it gives the same successor again.

        Raises:
            Unauthorized: the token is invalid. If it was used before `GRACE`, the whole sign-in ends, too.
        """
        now, stolen = self._clock(), False
        async with committing(self._sessions) as session:
            taken = await sign_ins.take_refresh_token(session, digest(token))
            if taken is not None:
                sign_in, row = taken
                if row.used_at is not None and now > row.used_at + GRACE:
                    stolen = True
                    await sign_ins.end(session, sign_in.id, None, "a refresh token was used twice")
                elif min(sign_in.ends_at, row.expires_at) > now and await repository.find_user(session, row.user):
                    sign_in.last_used_at = now
                    session.add(sign_in)
                    following = await self._follow(session, sign_in, row)
                    if following is not None:
                        return await self._tokens(sign_in, following)
        if stolen:
            log.warning("a refresh token was used twice; its sign-in is ended")
            raise Unauthorized("This sign-in was used by two: it is ended. Sign in again.", code="sign-in-used-by-two")
        raise Unauthorized("This sign-in has ended: sign in again.", code="sign-in-ended")

    async def sign_out(self, token: str | None, sign_in: UUID | None) -> None:
        """End a sign-in, given by its refresh token or its id. Succeeds if it has ended already."""
        async with committing(self._sessions) as session:
            taken = await sign_ins.take_refresh_token(session, digest(token)) if token else None
            for ended in {taken[0].id if taken else None, sign_in} - {None}:
                assert ended is not None
                await sign_ins.end(session, ended, None, "signed out")

    async def sign_out_everywhere(self, user: UUID) -> None:
        """End all of a user's sign-ins."""
        async with committing(self._sessions) as session:
            await sign_ins.end_all(session, user)

    async def check_password(self, user: User, password: str, address: str, sign_in: UUID | None = None) -> None:
        """Check the password of a signed-in user. Attempts count for the sign-in, if it is given.

        Raises:
            Unauthorized: the password is wrong.
            TooMany: too many attempts.
        """
        counters = attempts.of_stranger(user.email, address) if sign_in is None else (attempts.of_sign_in(sign_in),)
        await self._count(counters, Visitor(address), user.id)
        if not await self._passwords.matches(password, user.password_hash):
            _log_refused(user.id, Visitor(address), "a wrong password of somebody who is signed in")
            raise Unauthorized("That is not your present password.", code="wrong-present-password")

    async def forget_tries(self, sign_in: UUID) -> None:
        """Reset the attempts of a sign-in, after a right answer."""
        async with committing(self._sessions) as session:
            await attempts.forget(session, [attempts.of_sign_in(sign_in)])

    async def count_code(self, user: UUID, address: str, sign_in: UUID | None) -> None:
        """Count an attempt of a signed-in user to give a code without the password.

        Raises:
            TooMany: too many attempts.
        """
        await self._count(
            [attempts.of_codes(user) if sign_in is None else attempts.of_sign_in(sign_in)],
            Visitor(address),
            user,
        )

    async def _check(self, email: str, password: str, visitor: Visitor) -> Known:
        now = self._clock()
        async with self._sessions() as session:
            user = await repository.find_user_by_email(session, email)
            user_id = _NO_USER if user is None else user.id
            own = await trusted_browsers.own_counter(session, user_id, visitor.device, visitor.refresh, now)
        counters = attempts.of_stranger(email, visitor.address) if own is None else (own,)
        await self._count(counters, visitor, None if user is None else user.id)
        # No connection is held while the password is hashed, which takes a while and waits for its turn.
        right = await self._passwords.matches(password, user.password_hash if user else None)
        if user is None or not right or user.disabled:
            reason = "no such account" if user is None else "a wrong password" if not right else "a disabled account"
            _log_refused(None if user is None else user.id, visitor, reason)
            raise Unauthorized(WRONG, code="wrong-password")
        return Known(user, visitor, counters, trusted=own is not None)

    async def _enter(self, known: Known, code: str | None) -> Entered:
        """Begin a sign-in, in a transaction that locks the account: no checked condition changes meanwhile."""
        now, visitor, factor = self._clock(), known.visitor, None
        await self._forget_old()
        async with committing(self._sessions) as session:
            user = await repository.lock_user(session, known.user.id)
            if user is None or user.password_hash != known.user.password_hash:
                raise Unauthorized(WRONG, code="wrong-password")
            if await second_factors.find(session, user.id) is not None:
                if not code:
                    raise SecondFactorNeeded(NEEDED)
                factor = await self._factors.take(session, user.id, code, now)
            await attempts.forget(session, known.counters)
            device, cookie = None, None
            if visitor.browser:
                await self._end_replaced(session, visitor)
                device, cookie = await trusted_browsers.trust(session, user.id, visitor.device, now)
            sign_in = await sign_ins.begin(session, user.id, visitor, device, now)
            refresh = self._add_token(session, sign_in)
            tokens = await self._tokens(sign_in, refresh)
        log.info(
            "signed in",
            user=str(user.id),
            sign_in=str(sign_in.id),
            address=visitor.address,
            second_factor=factor and factor.value,
            trusted=known.trusted,
        )
        return Entered(tokens, cookie)

    async def _end_replaced(self, session: AsyncSession, visitor: Visitor) -> None:
        """End the sign-in whose cookies the new one replaces."""
        replaced = None
        if visitor.refresh is not None:
            replaced = await sign_ins.take_refresh_token(session, digest(visitor.refresh))
        if replaced is not None:
            await sign_ins.end(session, replaced[0].id, None, "another one in the same browser")

    async def _follow(self, session: AsyncSession, sign_in: SignIn, row: RefreshToken) -> str | None:
        """The only successor of a refresh token, which concurrent requests share; None if it cannot be read.

        If the successor was used in its turn, the newest one: a slower tab of a browser would otherwise store a used
        token in the cookie.
        """
        while row.used_at is not None:
            if row.successor is None:
                return None
            try:
                following = self._vault.open(row.successor)
            except CannotOpen:
                return None
            next_row = await sign_ins.find_refresh_token(session, digest(following))
            if next_row is None or next_row.used_at is None:
                return following
            row = next_row
        following = self._add_token(session, sign_in)
        row.used_at, row.successor = self._clock(), self._vault.seal(following)
        session.add(row)
        return following

    def _add_token(self, session: AsyncSession, sign_in: SignIn) -> str:
        token, now = secrets.token_urlsafe(32), self._clock()
        session.add(
            RefreshToken(
                hash=digest(token), family=sign_in.id, user=sign_in.user, issued_at=now, expires_at=sign_in.ends_at
            )
        )
        return token

    async def _tokens(self, sign_in: SignIn, refresh: str) -> Tokens:
        now = self._clock()
        until = min(now + LIFE, sign_in.ends_at)
        access = await self._keys.sign(own_claims(sign_in.user, sign_in.id, now, until))
        return Tokens(access, refresh, until, sign_in.ends_at)

    async def _has_second_factor(self, user: UUID) -> bool:
        async with self._sessions() as session:
            return await second_factors.find(session, user) is not None

    async def _count(self, counters: Sequence[Counter], visitor: Visitor, user: UUID | None) -> None:
        refused: TooMany | None = None
        async with committing(self._sessions) as session:
            try:
                await attempts.count(session, counters, self._clock())
            except TooMany as error:
                refused = error  # the count stays
        if refused is not None:
            _log_refused(user, visitor, "tried too often")
            raise refused

    async def _forget_old(self) -> None:
        async with committing(self._sessions) as session:
            await sign_ins.forget_ended(session, self._clock())
            await trusted_browsers.forget_unused(session, self._clock())


def _log_refused(user: UUID | None, visitor: Visitor, reason: str, *, worth_a_warning: bool = False) -> None:
    """Log a refusal, without anything typed: people type passwords into the wrong field."""
    fields = {"user": user and str(user), "address": visitor.address, "reason": reason}
    (log.warning if worth_a_warning else log.info)("a sign-in was refused", **fields)
