"""`/v1/ingest/crossings`."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter

from services.api.auth.dependencies import WorkerDep
from services.api.dependencies import BusDep, ClockDep, SessionsDep
from services.api.edge import service
from services.api.edge.schemas import EdgeAnswers, EdgeBatch
from services.api.http.problems import ANYBODY, describe

router = APIRouter(tags=["edge"])


@router.post(
    "/ingest/crossings",
    summary="Send crossings from the edge",
    responses=ANYBODY | describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
)
async def send_crossings(
    batch: EdgeBatch, worker: WorkerDep, sessions: SessionsDep, bus: BusDep, clock: ClockDep
) -> EdgeAnswers:
    """Requires an edge key, which belongs to one store. A batch can be sent again safely: each crossing counts once."""
    async with sessions() as session:
        return await service.take(session, bus, worker, batch.events, clock())
