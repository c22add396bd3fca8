"""`/v1/auth/password-resets` and `/v1/auth/password-strength`."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request

from services.api.http.problems import ANYBODY, describe
from services.api.invitations.schemas import LinkIn
from services.api.resets.schemas import ResetAskedOut, ResetIn, ResetLook, StrengthIn, StrengthOut, UseIn
from services.api.resets.service import PasswordResetsDep
from services.kit.network.client_addresses import client_network

router = APIRouter(prefix="/auth", tags=["sign-in"])

_LINK = ANYBODY | describe(HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


@router.post("/password-resets", summary="Ask for a new password", status_code=HTTPStatus.ACCEPTED, responses=ANYBODY)
async def ask(body: ResetIn, request: Request, resets: PasswordResetsDep) -> ResetAskedOut:
    """Sends a link to the account's address, valid for an hour. The response is the same for every address."""
    await resets.ask(body.email, client_network(request.scope))
    return ResetAskedOut()


@router.post("/password-resets/look", summary="See a password reset", responses=_LINK)
async def look(body: LinkIn, resets: PasswordResetsDep) -> ResetLook:
    """The account whose password a link sets, for its holder."""
    return await resets.look(body.token.get_secret_value())


@router.post(
    "/password-resets/use", summary="Choose a new password", status_code=HTTPStatus.NO_CONTENT, responses=_LINK
)
async def use(body: UseIn, resets: PasswordResetsDep) -> None:
    """Sets a password with the link of a reset, once. All sign-ins of the account end."""
    await resets.use(body)


@router.post(
    "/password-strength", summary="Estimate a password", responses=_LINK | describe(HTTPStatus.TOO_MANY_REQUESTS)
)
async def judge(body: StrengthIn, resets: PasswordResetsDep) -> StrengthOut:
    """Estimates how easily a password is guessed, for the holder of a link."""
    strength = await resets.estimate(body)
    return StrengthOut(score=strength.score, enough=strength.enough, says=strength.says)
