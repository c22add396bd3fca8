"""`/v1/auth` and `/.well-known/jwks.json`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Cookie, Request, Response

from services.api.auth import cookies, repository
from services.api.auth.cookies import REFRESH
from services.api.auth.proving import put_password
from services.api.auth.schemas import KeySetOut, MeOut, PasswordIn, RefreshIn, SignInIn, TokensOut
from services.api.auth.service import Tokens
from services.api.auth.tokens import LIFE
from services.api.dependencies import PartsDep, PrincipalDep, WritingDep
from services.api.problems import Forbidden, Unauthorized, describe

router = APIRouter(prefix="/auth", tags=["sign-in"])
well_known = APIRouter(tags=["sign-in"])

RefreshCookie = Annotated[str | None, Cookie(alias=REFRESH, description="A browser's; no script sees it.")]


@router.post(
    "/sign-in",
    summary="Sign in",
    response_model=TokensOut | None,
    responses=describe(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)  # fmt: skip
async def sign_in(wanted: SignInIn, request: Request, response: Response, of: PartsDep) -> TokensOut | None:
    """With an e-mail address and a password. Ten tries in a quarter of an hour, then it waits."""
    if wanted.keep == "cookie":
        cookies.refuse_other_sites(request)
    tokens = await of.sign_ins.sign_in(wanted.email, wanted.password.get_secret_value(), _address(request))
    if wanted.keep == "token":
        return _show(tokens)
    cookies.put(request, response, tokens)
    return None


@router.post(
    "/refresh",
    summary="Stay signed in",
    response_model=TokensOut | None,
    responses=describe(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
    ),
)
async def refresh(
    request: Request,
    response: Response,
    of: PartsDep,
    wanted: Annotated[RefreshIn | None, Body()] = None,
    cookie: RefreshCookie = None,
) -> TokensOut | None:
    """New tokens for a refresh token, which is used up. One that is used a second time ends the whole sign-in."""
    if wanted is not None:
        return _show(await of.sign_ins.refresh(wanted.refresh_token))
    if cookie is None:
        raise Unauthorized("Send a refresh token, or sign in.")
    cookies.refuse_other_sites(request)
    cookies.put(request, response, await of.sign_ins.refresh(cookie))
    return None


@router.post(
    "/sign-out",
    summary="Sign out",
    status_code=HTTPStatus.NO_CONTENT,
    responses=describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def sign_out(
    request: Request, response: Response, principal: PrincipalDep, of: PartsDep, cookie: RefreshCookie = None
) -> None:
    """Ends this sign-in at once, and its open live streams within seconds."""
    if cookie is not None:
        cookies.refuse_other_sites(request)
    await of.sign_ins.sign_out(cookie, principal.sign_in)
    cookies.drop(response)


@router.post(
    "/sign-out-everywhere",
    summary="Sign out everywhere",
    status_code=HTTPStatus.NO_CONTENT,
    responses=describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def sign_out_everywhere(response: Response, principal: PrincipalDep, of: PartsDep) -> None:
    """Ends all of your sign-ins at once, on every machine."""
    if principal.user is None:
        raise Forbidden("Only people sign out. A key is revoked.")
    await of.sign_ins.sign_out_everywhere(principal.user)
    cookies.drop(response)


@router.get("/me", summary="Who am I?", responses=describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE))
async def show_me(principal: PrincipalDep) -> MeOut:
    """Whom the API takes you for, and what you may do."""
    return MeOut(
        name=principal.name,
        user=principal.user,
        superadmin=principal.superadmin,
        roles=dict(principal.roles),
        everywhere=principal.everywhere,
        store=principal.store,
    )


@router.post(
    "/password",
    summary="Change your password",
    status_code=HTTPStatus.NO_CONTENT,
    responses=describe(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)  # fmt: skip
async def change_password(
    wanted: PasswordIn, request: Request, principal: PrincipalDep, of: PartsDep, writing: WritingDep
) -> None:
    """Takes the present one once more. All your other sign-ins end."""
    if principal.user is None:
        raise Forbidden("Only people have passwords.")
    async with of.sessions() as session:
        user = await repository.find_user(session, principal.user)
    if user is None:
        raise Unauthorized("This account is disabled.")
    await of.sign_ins.check_password(user, wanted.present.get_secret_value(), _address(request))
    new = wanted.new.get_secret_value()
    await of.judge.refuse_weak(new, (user.email, user.name), where="new")
    hashed = await of.passwords.hash(new)
    async with writing() as session:
        user = await repository.find_user(session, principal.user)
        if user is None:
            raise Unauthorized("This account is disabled.")
        await put_password(session, user, hashed, of.clock())
        await repository.end_sign_ins(session, user.id, but=principal.sign_in)


@well_known.get("/.well-known/jwks.json", summary="Public keys", responses=describe(HTTPStatus.SERVICE_UNAVAILABLE))
async def show_keys(of: PartsDep) -> KeySetOut:
    """The keys by which others judge the tokens of this API (JWKS)."""
    return KeySetOut(keys=await of.signing_keys.published())


def _show(tokens: Tokens) -> TokensOut:
    return TokensOut(access_token=tokens.access, refresh_token=tokens.refresh, expires_in=int(LIFE.total_seconds()))


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
