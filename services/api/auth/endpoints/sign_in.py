"""`/v1/auth` and `/.well-known/jwks.json`: sign-in, sign-out, the present user and the public keys."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from services.api.auth import cookies, repository
from services.api.auth.dependencies import JudgeDep, PasswordsDep, PrincipalDep, SigningKeysDep, SignInsDep
from services.api.auth.passwords.choosing import put_change_notice, put_password
from services.api.auth.rights import person_of, rights_of
from services.api.auth.schemas import KeySetOut, MeOut, PasswordIn, RefreshIn, SignInIn, TokensOut
from services.api.auth.second_factor import repository as second_factors
from services.api.auth.sign_ins.repository import end_all
from services.api.auth.signed_in import Tokens
from services.api.auth.visitor import address_of, visitor_of
from services.api.auth.writing import WritingDep
from services.api.clock import Clock
from services.api.dependencies import ClockDep, OutboxDep, SessionDep, SessionsDep, SettingsDep
from services.api.http.problems import SIGNED_IN, Forbidden, Unauthorized, describe

router = APIRouter(prefix="/auth", tags=["sign-in"])
well_known = APIRouter(tags=["sign-in"])

_ONLY_PEOPLE = "Only people have passwords."
_WITH_PASSWORD = SIGNED_IN | describe(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS)


@router.post("/sign-in", summary="Sign in", response_model=TokensOut | None, responses=_WITH_PASSWORD)
async def sign_in(
    body: SignInIn, request: Request, response: Response, sign_ins: SignInsDep, clock: ClockDep
) -> TokensOut | None:
    """Signs in by e-mail address and password, and a code if the account has a second factor.

    Limited to ten attempts in 15 minutes. A browser that was signed in before has attempts of its own.
    """
    browser = body.keep == "cookie"
    if browser:
        cookies.refuse_other_sites(request)
    visitor = visitor_of(request, browser=browser, refresh=body.refresh_token)
    entered = await sign_ins.sign_in(body.email, body.password.get_secret_value(), body.code, visitor)
    if not browser:
        return _tokens_out(entered.tokens, clock)
    cookies.put_entered(request, response, entered, clock())
    return None


@router.post(
    "/refresh",
    summary="Stay signed in",
    response_model=TokensOut | None,
    responses=SIGNED_IN | describe(HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def refresh(
    request: Request,
    response: Response,
    sign_ins: SignInsDep,
    clock: ClockDep,
    body: Annotated[RefreshIn | None, Body()] = None,
) -> TokensOut | None:
    """Exchanges a refresh token, in the body or in a browser's cookie, for new tokens.

    A refresh token is valid once. Used again within 10 seconds it gives the same successor; later, it ends the sign-in.
    """
    if body is not None:
        return _tokens_out(await sign_ins.refresh(body.refresh_token), clock)
    cookie = cookies.read(request, cookies.REFRESH)
    if cookie is None:
        raise Unauthorized("Send a refresh token, or sign in.", code="refresh-token-needed")
    cookies.refuse_other_sites(request)
    cookies.put(request, response, await sign_ins.refresh(cookie), clock())
    return None


@router.post("/sign-out", summary="Sign out", status_code=HTTPStatus.NO_CONTENT, responses=SIGNED_IN)
async def sign_out(request: Request, response: Response, principal: PrincipalDep, sign_ins: SignInsDep) -> None:
    """Ends this sign-in at once, and its live streams within seconds. The browser stays trusted."""
    cookie = cookies.read(request, cookies.REFRESH)
    if cookie is not None:
        cookies.refuse_other_sites(request)
    await sign_ins.sign_out(cookie, principal.sign_in)
    cookies.drop(request, response)


@router.post(
    "/sign-out-everywhere", summary="Sign out everywhere", status_code=HTTPStatus.NO_CONTENT, responses=SIGNED_IN
)
async def sign_out_everywhere(
    request: Request, response: Response, principal: PrincipalDep, sign_ins: SignInsDep
) -> None:
    """Ends all of your sign-ins at once, and removes all of your trusted browsers."""
    if principal.user is None:
        raise Forbidden("Only people sign out. A key is revoked.", code="only-people-sign-out")
    await sign_ins.sign_out_everywhere(principal.user)
    cookies.drop(request, response, trust=True)


@router.get("/me", summary="Who am I?", responses=describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE))
async def show_me(principal: PrincipalDep, session: SessionDep, settings: SettingsDep) -> MeOut:
    """The principal of this request, and its roles."""
    user = await repository.find_user(session, principal.user) if principal.user else None
    here = principal.sign_in is not None
    rights = await rights_of(session, user, settings, signed_in_here=here) if user else None
    return MeOut(
        name=principal.name,
        user=principal.user,
        superadmin=principal.superadmin,
        roles=dict(principal.roles),
        second_factor=user is not None and await second_factors.find(session, user.id) is not None,
        second_factor_needed_in=list(rights.waiting) if rights else [],
        second_factor_needed_as_superadmin=rights is not None and rights.superadmin_waits,
        everywhere=principal.everywhere,
        store=principal.store,
    )


@router.post("/password", summary="Change your password", status_code=HTTPStatus.NO_CONTENT, responses=_WITH_PASSWORD)
async def change_password(
    body: PasswordIn,
    request: Request,
    principal: PrincipalDep,
    writing: WritingDep,
    sessions: SessionsDep,
    sign_ins: SignInsDep,
    judge: JudgeDep,
    passwords: PasswordsDep,
    outbox: OutboxDep,
    clock: ClockDep,
) -> None:
    """Requires the present password. All your other sign-ins end."""
    async with sessions() as session:
        user = await person_of(session, principal, _ONLY_PEOPLE)
    await sign_ins.check_password(user, body.present.get_secret_value(), address_of(request), principal.sign_in)
    new = body.new.get_secret_value()
    await judge.refuse_weak(new, (user.email, user.name), where="new")
    hashed = await passwords.hash(new)
    async with writing.transaction() as session:
        user = await person_of(session, principal, _ONLY_PEOPLE)
        await put_password(session, user, hashed, clock())
        await end_all(session, user.id, but=principal.sign_in)
        put_change_notice(outbox, session, user, clock())
    outbox.wake()
    if principal.sign_in is not None:
        await sign_ins.forget_tries(principal.sign_in)


@well_known.get("/.well-known/jwks.json", summary="Public keys", responses=describe(HTTPStatus.SERVICE_UNAVAILABLE))
async def show_keys(signing_keys: SigningKeysDep) -> KeySetOut:
    """Public keys for verifying the access tokens of this API (JWKS)."""
    return KeySetOut(keys=await signing_keys.published())


def _tokens_out(tokens: Tokens, clock: Clock) -> TokensOut:
    seconds = int((tokens.access_until - clock()).total_seconds())
    return TokensOut(access_token=tokens.access, refresh_token=tokens.refresh, expires_in=seconds)
