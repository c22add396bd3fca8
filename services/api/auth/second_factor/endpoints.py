"""`/v1/auth/second-factor`: an authenticator app and recovery codes of one's own; superadmins remove a lost one."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import segno
from fastapi import APIRouter, Path, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import Principal, require_superadmin
from services.api.auth import repository, sign_ins
from services.api.auth.rights import asked_of
from services.api.auth.schemas import BeginIn, BegunOut, CodeIn, ProofIn, RecoveryCodesOut, SecondFactorOut
from services.api.auth.second_factor import factors
from services.api.auth.second_factor.removal import remove_and_sign_out
from services.api.auth.visitor import address_of
from services.api.dependencies import PartsDep, PrincipalDep, SessionDep, WritingDep
from services.api.http.problems import Conflict, Forbidden, Invalid, NotFound, Unauthorized, describe
from services.api.state import Parts
from services.kit.database.account_tables import User
from services.kit.logs import logger

router = APIRouter(tags=["sign-in"])

FRESH = timedelta(minutes=10)
"""A sign-in that is younger needs no password to begin."""
MINE = "/auth/second-factor"
ASKED = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.CONFLICT,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

log = logger()


@router.get(MINE, summary="See your second factor", responses=describe(*ASKED))
async def show_second_factor(principal: PrincipalDep, session: SessionDep, of: PartsDep) -> SecondFactorOut:
    """Tell whether you have one, and what asks for it."""
    user = await _person(session, principal)
    row, asked = await factors.find(session, user.id), await asked_of(session, user, of.settings)
    return SecondFactorOut(
        on=row is not None,
        since=None if row is None else row.confirmed_at,
        recovery_codes_left=await factors.recovery_codes_left(session, user.id),
        asked_for_in=list(asked.organizations),
        asked_for_as_superadmin=asked.as_superadmin,
    )


@router.post(MINE, summary="Begin a second factor", responses=describe(*ASKED))
async def begin_second_factor(wanted: BeginIn, request: Request, principal: PrincipalDep, of: PartsDep) -> BegunOut:
    """A new secret for your authenticator app; a code of it confirms it. A present one stays in force until then."""
    user = await _who_signed_in_here(of, principal)
    password = None if wanted.password is None else wanted.password.get_secret_value()
    await _prove(of, principal, user, password, request)
    async with of.writable() as session, session.begin():
        await repository.lock_user(session, user.id, changing=True)
        if await factors.find(session, user.id) is not None:
            if wanted.code is None:
                raise Invalid(
                    "You have a second factor already: to put another in its place, send a code of it.", "code"
                )
            await _take(of, session, user, wanted.code)
        secret = await of.second_factors.begin(session, user.id, of.clock())
    uri = factors.uri(secret, user.email)
    picture = segno.make(uri, error="m", micro=False).svg_data_uri(scale=5, border=4, dark="#000", light="#fff")
    return BegunOut(secret=secret, uri=uri, qr=picture)


@router.post(MINE + "/confirm", summary="Confirm your second factor", responses=describe(*ASKED))
async def confirm_second_factor(
    wanted: CodeIn, request: Request, principal: PrincipalDep, of: PartsDep, writing: WritingDep
) -> RecoveryCodesOut:
    """Puts the new secret in force; from now on, signing in takes a code. All your other sign-ins end."""
    user = await _who_signed_in_here(of, principal)
    await of.sign_ins.count_code(user.id, address_of(request), principal.sign_in)
    async with writing() as session:
        await repository.lock_user(session, user.id, changing=True)
        codes = await of.second_factors.confirm(session, user.id, wanted.code, of.clock())
        await repository.end_sign_ins(session, user.id, but=principal.sign_in)
    await _done(of, principal, user, "a second factor was set up")
    return RecoveryCodesOut(recovery_codes=codes)


@router.post(MINE + "/recovery-codes", summary="Draw new recovery codes", responses=describe(*ASKED))
async def draw_recovery_codes(
    wanted: ProofIn, request: Request, principal: PrincipalDep, of: PartsDep
) -> RecoveryCodesOut:
    """Ten new ones, shown this once; those of before are worth nothing any more."""
    user = await _who_signed_in_here(of, principal)
    await _prove(of, principal, user, wanted.password.get_secret_value(), request)
    async with of.writable() as session, session.begin():
        await repository.lock_user(session, user.id, changing=True)
        await _take(of, session, user, wanted.code)
        codes = await factors.draw_recovery_codes(session, user.id)
    await _done(of, principal, user, "recovery codes were drawn anew")
    return RecoveryCodesOut(recovery_codes=codes)


@router.post(
    MINE + "/remove",
    summary="Turn your second factor off",
    status_code=HTTPStatus.NO_CONTENT,
    responses=describe(*ASKED),
)
async def remove_second_factor(
    wanted: ProofIn, request: Request, principal: PrincipalDep, of: PartsDep, writing: WritingDep
) -> None:
    """Unless an organization of yours asks for one. All your other sign-ins end."""
    user = await _who_signed_in_here(of, principal)
    await _prove(of, principal, user, wanted.password.get_secret_value(), request)
    async with writing() as session:
        await repository.lock_user(session, user.id, changing=True)
        asked = await asked_of(session, user, of.settings)
        if asked:
            who = ", ".join(asked.organizations) or "METRICA_ADMIN_SECOND_FACTOR, as a superadmin,"
            raise Conflict(
                f"{who} asks you for a second factor: you may put another in its place, and not turn it off."
            )
        await _take(of, session, user, wanted.code)
        await factors.remove(session, user.id)
        await repository.end_sign_ins(session, user.id, but=principal.sign_in)
    await _done(of, principal, user, "a second factor was turned off")


@router.delete(
    "/users/{user}/second-factor",
    summary="Remove a lost second factor",
    status_code=HTTPStatus.NO_CONTENT,
    responses=describe(*ASKED, HTTPStatus.NOT_FOUND),
)
async def remove_lost_second_factor(
    user: Annotated[UUID, Path(description="The user's id.")], principal: PrincipalDep, writing: WritingDep
) -> None:
    """Superadmins do, once they have made sure who asks for it. All of the user's sign-ins end; it is in the log."""
    require_superadmin(principal)
    if user == principal.user:
        raise Conflict(f"Turn off your own by password and code, at /v1{MINE}/remove; or let another superadmin do it.")
    async with writing() as session:
        if not await remove_and_sign_out(session, user):
            raise NotFound(f"The user {user} has no second factor.")


async def _person(session: AsyncSession, principal: Principal) -> User:
    if principal.user is None:
        raise Forbidden("Only people have second factors.")
    user = await repository.find_user(session, principal.user)
    if user is None:
        raise Unauthorized("This account is disabled.")
    return user


async def _who_signed_in_here(of: Parts, principal: Principal) -> User:
    async with of.sessions() as session:
        user = await _person(session, principal)
    if principal.sign_in is None:
        raise Forbidden("You sign in elsewhere: a second factor is set up there.")
    return user


async def _prove(of: Parts, principal: Principal, user: User, password: str | None, request: Request) -> None:
    """Make sure that it is really them: by the password, or where that is left out, by having just signed in."""
    if password is not None:
        await of.sign_ins.check_password(user, password, address_of(request), principal.sign_in)
        return
    assert principal.sign_in is not None
    await of.sign_ins.count_code(user.id, address_of(request), principal.sign_in)
    async with of.sessions() as session:
        sign_in = await sign_ins.find(session, principal.sign_in, user.id, of.clock())
    if sign_in is None or of.clock() > sign_in.began_at + FRESH:
        raise Invalid("You signed in a while ago: say your password once more.", "password")


async def _take(of: Parts, session: AsyncSession, user: User, code: str) -> None:
    if await factors.find(session, user.id) is None:
        raise Conflict("You have no second factor.")
    try:
        await of.second_factors.take(session, user.id, code, of.clock())
    except factors.WrongCode:
        log.warning("a wrong code of somebody who is signed in", user=str(user.id))
        raise


async def _done(of: Parts, principal: Principal, user: User, what: str) -> None:
    assert principal.sign_in is not None
    await of.sign_ins.forget_tries(principal.sign_in)
    log.info(what, user=str(user.id), sign_in=str(principal.sign_in))
