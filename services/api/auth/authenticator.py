"""Authenticates requests: by bearer token or API key, by a browser's cookie, or as a browser on this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from fastapi import Request
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import LOCAL, Principal
from services.api.auth import cookies, repository
from services.api.auth.rights import rights_of
from services.api.auth.sign_ins import repository as sign_ins
from services.api.auth.tokens.access_tokens import BUILT_IN, Claims, Verifier
from services.api.auth.tokens.api_keys import (
    EdgeWorker,
    is_key,
    principal_of_key,
    principal_of_known_key,
    worker_of_key,
)
from services.api.clock import Clock
from services.api.database import Sessions
from services.api.http.problems import Unauthorized
from services.api.settings import ApiSettings
from services.kit.database.account_tables import User
from services.kit.database.sign_in_tables import SignIn
from services.kit.http.local import is_browsers, is_of_this_machine

Answer = TypeVar("Answer")

SIGN_IN = "Sign in at /v1/auth/sign-in, or send `Authorization: Bearer` with a token or a key."
BROWSERS_ONLY = (
    "Without signing in, only a browser at this machine looks; programs send `Authorization: Bearer` with a key."
)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Finds the principal of a request, and records when keys and sign-ins were last used."""

    settings: ApiSettings
    verifier: Verifier
    sessions: Sessions
    writable: Sessions
    clock: Clock

    async def identify(self, request: Request) -> Principal:
        """The principal of a request.

        Raises:
            Unauthorized: no valid token, key or cookie; the detail tells what to send.
            Forbidden: a cookie authenticates a change that another site's page requested.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme:
            if scheme.lower() != "bearer" or not token.strip():
                raise Unauthorized(
                    "`Authorization: {scheme}` is not understood. " + SIGN_IN,
                    code="unknown-authorization",
                    scheme=scheme,
                )
            return await self._of_bearer(token.strip())
        cookie = cookies.read(request, cookies.ACCESS)
        refused = Unauthorized(SIGN_IN, code="sign-in-needed")
        if cookie is not None:
            cookies.refuse_other_sites(request)
            try:
                return await self.of_token(cookie)
            except Unauthorized as error:
                refused = error
        if self.settings.local_access == "viewer" and is_of_this_machine(request.scope):
            if is_browsers(request.scope):
                return LOCAL
            if cookie is None:
                refused = Unauthorized(f"{SIGN_IN} {BROWSERS_ONLY}", code="local-access-for-browsers-only")
        raise refused

    async def of_token(self, token: str) -> Principal:
        """The user of an access token (JWT), with their present roles.

        Raises:
            Unauthorized: the token is invalid, its sign-in has ended, or it belongs to no account.
        """
        claims = await self.verifier.verify(token)
        async with self.sessions() as session:
            sign_in: SignIn | None = None
            if claims.issuer == BUILT_IN:
                user, sign_in = await self._of_built_in(session, claims)
            else:
                user = await repository.find_user_of_issuer(session, claims.subject, claims.email)
            if user is None:
                raise Unauthorized(
                    "The token is good, but of nobody who has an account here.", code="no-account-for-token"
                )
            rights = await rights_of(session, user, self.settings, signed_in_here=sign_in is not None)
        if sign_in is not None:
            await sign_ins.note_use(self.writable, sign_in, self.clock())
        return Principal(
            user.email,
            roles=rights.roles,
            superadmin=rights.superadmin,
            user=user.id,
            sign_in=claims.sign_in,
            until=None if claims.issuer == BUILT_IN else claims.until,
        )

    async def ask_again(
        self, principal: Principal, question: Callable[[AsyncSession, Principal], Awaitable[Answer]]
    ) -> Answer:
        """Answer a question for a principal of an earlier request, with the roles that it has now.

        Raises:
            Unauthorized: the sign-in has ended, the key was revoked, or the account was disabled.
            NotFound: the principal may no longer see the subject of the question.
        """
        async with self.sessions() as session:
            now = await self._as_of_now(session, principal)
            if now is None:
                raise Unauthorized(
                    "{name} is not let in any more. " + SIGN_IN, code="not-let-in-any-more", name=principal.name
                )
            return await question(session, now)

    async def identify_worker(self, key: str | None) -> EdgeWorker:
        """The edge worker of a key.

        Raises:
            Unauthorized: no key was sent, or it is not a valid worker's key.
        """
        if not key:
            raise Unauthorized("Send the worker's key in X-EdgeWorker-Key.", code="edge-key-needed")
        return await worker_of_key(self.writable, key, self.clock())

    async def _as_of_now(self, session: AsyncSession, principal: Principal) -> Principal | None:
        if principal.key is not None:
            return await principal_of_known_key(session, principal.key)
        if principal.user is None:
            return principal
        user, now = await repository.find_user(session, principal.user), self.clock()
        ended = principal.until is not None and now >= principal.until
        if principal.sign_in is not None:
            ended = await sign_ins.find(session, principal.sign_in, principal.user, now) is None
        if user is None or ended:
            return None
        rights = await rights_of(session, user, self.settings, signed_in_here=principal.sign_in is not None)
        return replace(principal, roles=rights.roles, superadmin=rights.superadmin)

    async def _of_bearer(self, token: str) -> Principal:
        if is_key(token):
            return await principal_of_key(self.writable, token, self.clock())
        return await self.of_token(token)

    async def _of_built_in(self, session: AsyncSession, claims: Claims) -> tuple[User | None, SignIn | None]:
        user = await repository.find_user(session, UUID(claims.subject))
        if user is None:
            return None, None
        assert claims.sign_in is not None
        sign_in = await sign_ins.find(session, claims.sign_in, user.id, self.clock())
        if sign_in is None:
            raise Unauthorized("This sign-in has ended: sign in again.", code="sign-in-ended")
        return user, sign_in
