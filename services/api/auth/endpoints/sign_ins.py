"""`/v1/auth/sign-ins`: the sign-ins of a user."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from services.api.auth.dependencies import PrincipalDep
from services.api.auth.schemas import SignInOut
from services.api.auth.sign_ins import repository as sign_ins
from services.api.dependencies import ClockDep, SessionDep, WritableDep
from services.api.http.problems import READING, SIGNED_IN, Forbidden, NotFound
from services.api.transaction import committing

router = APIRouter(prefix="/auth/sign-ins", tags=["sign-in"])


@router.get("", summary="List your sign-ins", responses=SIGNED_IN)
async def list_sign_ins(principal: PrincipalDep, session: SessionDep, clock: ClockDep) -> list[SignInOut]:
    """Your current sign-ins, most recently used first."""
    if principal.user is None:
        raise Forbidden("Only people sign in.", code="only-people-sign-in")
    rows = await sign_ins.list_of(session, principal.user, clock())
    return [SignInOut.of(row, principal.sign_in) for row in rows]


@router.delete("/{sign_in}", summary="End a sign-in", status_code=HTTPStatus.NO_CONTENT, responses=READING)
async def end_sign_in(
    sign_in: Annotated[UUID, Path(description="The sign-in's id.")], principal: PrincipalDep, writable: WritableDep
) -> None:
    """Ends a sign-in of yours at once, and its live streams within seconds."""
    if principal.user is None:
        raise Forbidden("Only people sign in.", code="only-people-sign-in")
    async with committing(writable) as session:
        ended = await sign_ins.end(session, sign_in, principal.user, "ended by its owner")
    if not ended:
        raise NotFound("You have no such sign-in. GET /v1/auth/sign-ins lists them.", code="no-such-sign-in")
