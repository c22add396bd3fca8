"""`/v1/stores`."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response

from services.api.access.principal import Role
from services.api.access.repository import readable_organization, readable_store, readable_stores
from services.api.auth.dependencies import PrincipalDep
from services.api.auth.writing import EditDep
from services.api.dependencies import ClockDep, SessionDep, StatusesDep, StoreID
from services.api.http.etags import tagged
from services.api.http.problems import CHANGING, CREATING, READING, describe
from services.api.idempotency.creation import CreationDep
from services.api.stores import service
from services.api.stores.repository import read_stores
from services.api.stores.schemas import StoreIn, StoreOut, StorePatch, StoreSettings

router = APIRouter(tags=["stores"])


@router.get(
    "/stores", summary="List stores", responses=describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE)
)
async def list_stores(
    session: SessionDep, principal: PrincipalDep, statuses: StatusesDep, clock: ClockDep
) -> list[StoreOut]:
    """All stores that you may see, with their cameras, lines, states and present totals."""
    records = await read_stores(session, await readable_stores(session, principal), clock())
    return [record.show(statuses.of_store(record.store.id)) for record in records]


@router.post(
    "/stores", summary="Make a store", status_code=HTTPStatus.CREATED, response_model=StoreSettings, responses=CREATING
)
async def create_store(body: StoreIn, principal: PrincipalDep, creation: CreationDep) -> Response:
    """Requires the admin role in the organization."""
    return await creation.once(
        body,
        lambda session: readable_organization(session, principal, body.organization, Role.ADMIN),
        lambda session, organization: service.create(session, organization, body),
    )


@router.get("/stores/{store}", summary="See a store's settings", responses=READING)
async def show_store(store: StoreID, session: SessionDep, principal: PrincipalDep, response: Response) -> StoreSettings:
    """A store's settings. Send the ETag as `If-Match` with a change."""
    return tagged(response, StoreSettings.of(await readable_store(session, principal, store)))


@router.patch("/stores/{store}", summary="Change a store", responses=CHANGING)
async def change_store(store: StoreID, body: StorePatch, edit: EditDep) -> StoreSettings:
    """Requires the manager role. Another time zone moves the borders of its days, past ones too."""
    return await edit.apply(service.change, store, body)


@router.delete("/stores/{store}", summary="Remove a store", status_code=HTTPStatus.NO_CONTENT, responses=CHANGING)
async def remove_store(store: StoreID, edit: EditDep) -> None:
    """Requires the admin role, and a store without cameras. Its counts are kept."""
    await edit.apply(service.remove, store)
