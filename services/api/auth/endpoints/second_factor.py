"""`/v1/auth/second-factor`: a user's authenticator app and recovery codes; superadmins remove a lost one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import segno
from fastapi import APIRouter, Depends, Path, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import require_superadmin
from services.api.auth import repository as users
from services.api.auth.dependencies import PrincipalDep, SecondFactorsDep, SignInsDep
from services.api.auth.rights import person_of, requirements_of
from services.api.auth.schemas import BeginIn, BegunOut, CodeIn, ProofIn, RecoveryCodesOut, SecondFactorOut
from services.api.auth.second_factor import factors, repository
from services.api.auth.second_factor.removal import remove_and_sign_out
from services.api.auth.sign_ins import repository as sign_ins
from services.api.auth.visitor import address_of
from services.api.auth.writing import WritingDep
from services.api.dependencies import ClockDep, SessionDep, SessionsDep, SettingsDep, WritableDep
from services.api.http.problems import SIGNED_IN, Conflict, Forbidden, Invalid, NotFound, describe
from services.api.transaction import committing
from services.kit.database.account_tables import User
from services.kit.logs import logger

router = APIRouter(tags=["sign-in"])

FRESH = timedelta(minutes=10)
"""Age of a sign-in up to which a second factor can be set up without the password."""
MINE = "/auth/second-factor"
_ONLY_PEOPLE = "Only people have second factors."
_ERRORS = SIGNED_IN | describe(HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS)

log = logger()


@dataclass(frozen=True, slots=True)
class Reauthentication:
    """Confirms that a request about a second factor comes from the account's owner."""

    request: Request
    principal: PrincipalDep
    sessions: SessionsDep
    sign_ins: SignInsDep
    factors: SecondFactorsDep
    clock: ClockDep

    async def user(self) -> User:
        """The principal's account.

        Raises:
            Forbidden: the principal is not a person, or signed in at another issuer.
            Unauthorized: the account is disabled.
        """
        async with self.sessions() as session:
            user = await person_of(session, self.principal, _ONLY_PEOPLE)
        if self.principal.sign_in is None:
            raise Forbidden(
                "You sign in elsewhere: a second factor is set up there.", code="second-factor-is-elsewhere"
            )
        return user

    async def prove(self, user: User, password: str | None) -> None:
        """Check the password; without one, require a sign-in that is younger than `FRESH`."""
        sign_in, address = self.principal.sign_in, address_of(self.request)
        if password is not None:
            await self.sign_ins.check_password(user, password, address, sign_in)
            return
        assert sign_in is not None
        await self.sign_ins.count_code(user.id, address, sign_in)
        async with self.sessions() as session:
            row = await sign_ins.find(session, sign_in, user.id, self.clock())
        if row is None or self.clock() > row.began_at + FRESH:
            raise Invalid(
                "You signed in a while ago: say your password once more.", "password", code="password-needed-again"
            )

    async def count_code(self, user: User) -> None:
        """Count an attempt to confirm a code."""
        await self.sign_ins.count_code(user.id, address_of(self.request), self.principal.sign_in)

    async def take(self, session: AsyncSession, user: User, code: str) -> None:
        """Use up a code of the present second factor, within a transaction."""
        if await repository.find(session, user.id) is None:
            raise Conflict("You have no second factor.", code="no-second-factor")
        try:
            await self.factors.take(session, user.id, code, self.clock())
        except factors.WrongCode:
            log.warning("a wrong code of somebody who is signed in", user=str(user.id))
            raise

    async def done(self, user: User, event: str) -> None:
        """Log the change and reset the sign-in's attempts."""
        assert self.principal.sign_in is not None
        await self.sign_ins.forget_tries(self.principal.sign_in)
        log.info(event, user=str(user.id), sign_in=str(self.principal.sign_in))


ReauthenticationDep = Annotated[Reauthentication, Depends(Reauthentication)]


@router.get(MINE, summary="See your second factor", responses=_ERRORS)
async def show_second_factor(principal: PrincipalDep, session: SessionDep, settings: SettingsDep) -> SecondFactorOut:
    """Your second factor, if you have one, and the organizations that require it."""
    user = await person_of(session, principal, _ONLY_PEOPLE)
    row, requirements = await repository.find(session, user.id), await requirements_of(session, user, settings)
    return SecondFactorOut(
        on=row is not None,
        since=None if row is None else row.confirmed_at,
        recovery_codes_left=await repository.recovery_codes_left(session, user.id),
        asked_for_in=list(requirements.organizations),
        asked_for_as_superadmin=requirements.as_superadmin,
    )


@router.post(MINE, summary="Begin a second factor", responses=_ERRORS)
async def begin_second_factor(
    body: BeginIn, owner: ReauthenticationDep, second_factors: SecondFactorsDep, writable: WritableDep, clock: ClockDep
) -> BegunOut:
    """Creates a secret for your authenticator app. Confirm it with a code; until then a present one stays in force."""
    user = await owner.user()
    await owner.prove(user, None if body.password is None else body.password.get_secret_value())
    async with committing(writable) as session:
        await users.lock_user(session, user.id, changing=True)
        if await repository.find(session, user.id) is not None:
            if body.code is None:
                raise Invalid(
                    "You have a second factor already: to put another in its place, send a code of it.",
                    "code",
                    code="code-of-second-factor-needed",
                )
            await owner.take(session, user, body.code)
        secret = await second_factors.begin(session, user.id, clock())
    uri = factors.uri(secret, user.email)
    picture = segno.make(uri, error="m", micro=False).svg_data_uri(scale=5, border=4, dark="#000", light="#fff")
    return BegunOut(secret=secret, uri=uri, qr=picture)


@router.post(MINE + "/confirm", summary="Confirm your second factor", responses=_ERRORS)
async def confirm_second_factor(
    body: CodeIn,
    principal: PrincipalDep,
    owner: ReauthenticationDep,
    second_factors: SecondFactorsDep,
    writing: WritingDep,
    clock: ClockDep,
) -> RecoveryCodesOut:
    """Puts the new secret in force: from now on, signing in requires a code. All your other sign-ins end."""
    user = await owner.user()
    await owner.count_code(user)
    async with writing.transaction() as session:
        await users.lock_user(session, user.id, changing=True)
        codes = await second_factors.confirm(session, user.id, body.code, clock())
        await sign_ins.end_all(session, user.id, but=principal.sign_in)
    await owner.done(user, "a second factor was set up")
    return RecoveryCodesOut(recovery_codes=codes)


@router.post(MINE + "/recovery-codes", summary="Draw new recovery codes", responses=_ERRORS)
async def draw_recovery_codes(body: ProofIn, owner: ReauthenticationDep, writable: WritableDep) -> RecoveryCodesOut:
    """Replaces your recovery codes with ten new ones, shown this once."""
    user = await owner.user()
    await owner.prove(user, body.password.get_secret_value())
    async with committing(writable) as session:
        await users.lock_user(session, user.id, changing=True)
        await owner.take(session, user, body.code)
        codes = await factors.draw_recovery_codes(session, user.id)
    await owner.done(user, "recovery codes were drawn anew")
    return RecoveryCodesOut(recovery_codes=codes)


@router.post(
    MINE + "/remove", summary="Turn your second factor off", status_code=HTTPStatus.NO_CONTENT, responses=_ERRORS
)
async def remove_second_factor(
    body: ProofIn, principal: PrincipalDep, owner: ReauthenticationDep, writing: WritingDep, settings: SettingsDep
) -> None:
    """Turns it off, unless an organization of yours requires it. All your other sign-ins end."""
    user = await owner.user()
    await owner.prove(user, body.password.get_secret_value())
    async with writing.transaction() as session:
        await users.lock_user(session, user.id, changing=True)
        requirements = await requirements_of(session, user, settings)
        if requirements:
            who = ", ".join(requirements.organizations) or "METRICA_ADMIN_SECOND_FACTOR, as a superadmin,"
            raise Conflict(
                "{who} asks you for a second factor: you may put another in its place, and not turn it off.",
                code="second-factor-is-required",
                who=who,
            )
        await owner.take(session, user, body.code)
        await repository.remove(session, user.id)
        await sign_ins.end_all(session, user.id, but=principal.sign_in)
    await owner.done(user, "a second factor was turned off")


@router.delete(
    "/users/{user}/second-factor",
    summary="Remove a lost second factor",
    status_code=HTTPStatus.NO_CONTENT,
    responses=_ERRORS | describe(HTTPStatus.NOT_FOUND),
)
async def remove_lost_second_factor(
    user: Annotated[UUID, Path(description="The user's id.")], principal: PrincipalDep, writing: WritingDep
) -> None:
    """Requires a superadmin, who has made sure of the person's identity. Ends all sign-ins of the user; is logged."""
    require_superadmin(principal)
    if user == principal.user:
        raise Conflict(
            "Turn off your own by password and code, at /v1{path}/remove; or let another superadmin do it.",
            code="own-second-factor",
            path=MINE,
        )
    async with writing.transaction() as session:
        if not await remove_and_sign_out(session, user):
            raise NotFound("The user {user} has no second factor.", code="user-has-no-second-factor", user=user)
