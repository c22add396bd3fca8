"""`/v1/stores`."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter

from services.api.access import readable_stores
from services.api.dependencies import ClockDep, PrincipalDep, SessionDep, StatusesDep
from services.api.problems import describe
from services.api.stores.repository import read_stores
from services.api.stores.schemas import StoreOut

router = APIRouter(tags=["stores"])


@router.get("/stores", summary="List stores", responses=describe(HTTPStatus.SERVICE_UNAVAILABLE))
async def list_stores(
    session: SessionDep, principal: PrincipalDep, statuses: StatusesDep, clock: ClockDep
) -> list[StoreOut]:
    """All stores, with their cameras, lines, states and totals of now."""
    records = await read_stores(session, await readable_stores(session, principal), clock())
    return [record.show(statuses.of_store(record.store.id)) for record in records]
