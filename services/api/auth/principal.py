"""Who asks: by a bearer's token or key, by a browser's cookie, or somebody who sits at this very machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from fastapi import Request
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import LOCAL, Principal
from services.api.auth import cookies, repository, sign_ins
from services.api.auth.rights import rights_of
from services.api.auth.tokens.access_tokens import BUILT_IN, Claims
from services.api.auth.tokens.api_keys import Worker, is_key, principal_of_key, principal_of_known_key, worker_of_key
from services.api.http.problems import Unauthorized
from services.api.state import Parts
from services.kit.database.account_tables import User
from services.kit.database.sign_in_tables import SignIn
from services.kit.http.local import is_browsers, is_of_this_machine

Answer = TypeVar("Answer")

SIGN_IN = "Sign in at /v1/auth/sign-in, or send `Authorization: Bearer` with a token or a key."
BROWSERS_ONLY = (
    "Without signing in, only a browser at this machine looks; programs send `Authorization: Bearer` with a key."
)


async def identify(request: Request, of: Parts) -> Principal:
    """Who asks.

    Raises:
        Unauthorized: nobody who is known; says what to do.
        Forbidden: a cookie vouches for a change that another site asks for.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme:
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized(f"`Authorization: {scheme}` is not understood. {SIGN_IN}")
        return await _of_bearer(of, token.strip())
    cookie = cookies.read(request, cookies.ACCESS)
    refused = Unauthorized(SIGN_IN)
    if cookie is not None:
        cookies.refuse_other_sites(request)
        try:
            return await of_token(of, cookie)
        except Unauthorized as error:
            refused = error
    if of.settings.local_access == "viewer" and is_of_this_machine(request.scope):
        if is_browsers(request.scope):
            return LOCAL
        if cookie is None:
            refused = Unauthorized(f"{SIGN_IN} {BROWSERS_ONLY}")
    raise refused


async def of_token(of: Parts, token: str) -> Principal:
    """Whom a JWT stands for, with the roles of this moment.

    Raises:
        Unauthorized: nobody.
    """
    claims = await of.verifier.verify(token)
    async with of.sessions() as session:
        sign_in: SignIn | None = None
        if claims.issuer == BUILT_IN:
            user, sign_in = await _of_built_in(of, session, claims)
        else:
            user = await repository.find_user_of_issuer(session, claims.subject, claims.email)
        if user is None:
            raise Unauthorized("The token is good, but of nobody who has an account here.")
        rights = await rights_of(session, user, of.settings, signed_in_here=sign_in is not None)
    if sign_in is not None:
        await sign_ins.note_use(of.writable, sign_in, of.clock())
    return Principal(
        user.email,
        roles=rights.roles,
        superadmin=rights.superadmin,
        user=user.id,
        sign_in=claims.sign_in,
        until=None if claims.issuer == BUILT_IN else claims.until,
    )


async def ask_again(
    of: Parts, principal: Principal, question: Callable[[AsyncSession, Principal], Awaitable[Answer]]
) -> Answer:
    """Put a question for somebody who was let in before, as who they are now: their roles are read anew.

    Raises:
        Unauthorized: they have signed out, or are nobody any more.
        NotFound: what the question is about is not for them.
    """
    async with of.sessions() as session:
        now = await _as_of_now(of, session, principal)
        if now is None:
            raise Unauthorized(f"{principal.name} is not let in any more. {SIGN_IN}")
        return await question(session, now)


async def _as_of_now(of: Parts, session: AsyncSession, principal: Principal) -> Principal | None:
    if principal.key is not None:
        return await principal_of_known_key(session, principal.key)
    if principal.user is None:
        return principal
    user, now = await repository.find_user(session, principal.user), of.clock()
    ended = principal.until is not None and now >= principal.until
    if principal.sign_in is not None:
        ended = not await repository.is_signed_in(session, principal.sign_in, principal.user, now)
    if user is None or ended:
        return None
    rights = await rights_of(session, user, of.settings, signed_in_here=principal.sign_in is not None)
    return replace(principal, roles=rights.roles, superadmin=rights.superadmin)


async def identify_worker(of: Parts, key: str | None) -> Worker:
    """Which worker at the edge asks.

    Raises:
        Unauthorized: none.
    """
    if not key:
        raise Unauthorized("Send the worker's key in X-Worker-Key.")
    return await worker_of_key(of.writable, key, of.clock())


async def _of_bearer(of: Parts, token: str) -> Principal:
    if is_key(token):
        return await principal_of_key(of.writable, token, of.clock())
    return await of_token(of, token)


async def _of_built_in(of: Parts, session: AsyncSession, claims: Claims) -> tuple[User | None, SignIn | None]:
    user = await repository.find_user(session, UUID(claims.subject))
    if user is None:
        return None, None
    assert claims.sign_in is not None
    sign_in = await sign_ins.find(session, claims.sign_in, user.id, of.clock())
    if sign_in is None:
        raise Unauthorized("This sign-in has ended: sign in again.")
    return user, sign_in
