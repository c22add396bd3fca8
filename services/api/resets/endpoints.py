"""`/v1/auth/password-resets` and `/v1/auth/password-strength`."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request

from services.api.dependencies import PartsDep
from services.api.http.problems import describe
from services.api.invitations.schemas import LinkIn
from services.api.resets import service
from services.api.resets.schemas import ResetAskedOut, ResetIn, ResetLook, StrengthIn, StrengthOut, UseIn
from services.kit.network.client_addresses import client_network

router = APIRouter(prefix="/auth", tags=["sign-in"])

_LINK = (
    HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip


@router.post(
    "/password-resets",
    summary="Ask for a new password",
    status_code=HTTPStatus.ACCEPTED,
    responses=describe(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def ask(wanted: ResetIn, request: Request, of: PartsDep) -> ResetAskedOut:
    """Sends a link to the account's address, good for an hour. The answer is the same for every address."""
    await service.ask(of, wanted.email, client_network(request.scope))
    return ResetAskedOut()


@router.post("/password-resets/look", summary="See a password reset", responses=describe(*_LINK))
async def look(wanted: LinkIn, of: PartsDep) -> ResetLook:
    """Whose password a link sets, for the person who holds it."""
    return await service.look(of, wanted.token.get_secret_value())


@router.post(
    "/password-resets/use",
    summary="Choose a new password",
    status_code=HTTPStatus.NO_CONTENT,
    responses=describe(*_LINK),
)
async def use(wanted: UseIn, of: PartsDep) -> None:
    """By the link of a reset, once. All sign-ins of the account end."""
    await service.use(of, wanted)


@router.post(
    "/password-strength",
    summary="Estimate a password",
    responses=describe(*_LINK, HTTPStatus.TOO_MANY_REQUESTS),
)
async def judge(wanted: StrengthIn, of: PartsDep) -> StrengthOut:
    """How easily a password is guessed, for the person who holds a link and chooses one."""
    found = await service.judge(of, wanted)
    return StrengthOut(score=found.score, enough=found.enough, says=found.says)
