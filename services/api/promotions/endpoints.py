"""`/v1/runs/{run}/promotions`, `/v1/promotions/{promotion}`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Response

from services.api.access.principal import Role
from services.api.auth.dependencies import PrincipalDep
from services.api.auth.writing import WritingDep
from services.api.dependencies import BusDep, ClockDep, SessionDep
from services.api.http.problems import CREATING, READING
from services.api.idempotency.creation import CreationDep
from services.api.promotions import service
from services.api.promotions.schemas import PromotionIn, PromotionOut
from services.api.runs.dependencies import RunID
from services.api.runs.service import readable_run

router = APIRouter(tags=["runs"])

PromotionID = Annotated[int, Path(description="The promotion's number.", ge=1, le=2**31 - 1)]


@router.get("/runs/{run}/promotions", summary="List a run's promotions", responses=READING)
async def list_promotions(run: RunID, session: SessionDep, bus: BusDep, principal: PrincipalDep) -> list[PromotionOut]:
    """Promotions of the run's counts, revoked ones too, the oldest first."""
    return await service.read(session, bus, principal, run)


@router.post(
    "/runs/{run}/promotions",
    summary="Promote a run's counts",
    status_code=HTTPStatus.CREATED,
    response_model=PromotionOut,
    responses=CREATING,
)
async def create_promotion(
    run: RunID, body: PromotionIn, principal: PrincipalDep, bus: BusDep, creation: CreationDep, clock: ClockDep
) -> Response:
    """Shows a run's counts in place of the live ones, for a line and a period. Requires the manager role.

    No count is changed: revoking it restores exactly the counts from before. Of those that overlap, the newest applies.
    """
    return await creation.once(
        body,
        lambda session: readable_run(session, bus, principal, run, Role.MANAGER),
        lambda session, entry: service.create(session, principal, entry, body, clock()),
        tagged=False,
    )


@router.delete(
    "/promotions/{promotion}",
    summary="Revoke a promotion",
    status_code=HTTPStatus.NO_CONTENT,
    responses=CREATING,
)
async def revoke_promotion(
    promotion: PromotionID, principal: PrincipalDep, writing: WritingDep, clock: ClockDep
) -> None:
    """The counts from before are shown again. Requires the manager role."""
    async with writing.transaction() as session:
        await service.revoke(session, principal, promotion, clock())
