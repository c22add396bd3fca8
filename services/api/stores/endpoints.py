"""`/v1/stores`."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response

from contracts.identity import TOKEN_PATTERN
from services.api.access.principal import Role
from services.api.access.repository import (
    present_stores_of,
    readable_organization,
    readable_store,
    readable_stores,
    readable_stores_page,
)
from services.api.auth.dependencies import PrincipalDep
from services.api.auth.writing import EditDep
from services.api.dependencies import ClockDep, SessionDep, StatusesDep, StoreID
from services.api.http.etags import tagged
from services.api.http.pagination import OptionalPageDep, Page
from services.api.http.problems import CHANGING, CREATING, READING, describe
from services.api.idempotency.creation import CreationDep
from services.api.stores import service
from services.api.stores.repository import read_stores
from services.api.stores.schemas import StoreIn, StoreOut, StorePatch, StoreSettings
from services.kit.database.tables import Store

router = APIRouter(tags=["stores"])


@router.get(
    "/stores",
    summary="List stores",
    responses=describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def list_stores(
    session: SessionDep,
    principal: PrincipalDep,
    known: StatusesDep,
    clock: ClockDep,
    page: OptionalPageDep,
    organization: Annotated[
        str | None, Query(pattern=TOKEN_PATTERN, description="Only the stores of this organization.")
    ] = None,
    statuses: Annotated[bool, Query(description="`false` leaves out each camera's `statuses`; `state` stays.")] = True,
) -> list[StoreOut] | Page[StoreOut]:
    """Stores that you may see, with their cameras, lines, states and present totals.

    Without `limit` and `cursor` it is the plain list of all, ordered by name; with either it is a page, ordered by id.
    """

    async def show(rows: Sequence[Store]) -> list[StoreOut]:
        records = await read_stores(session, rows, clock())
        return [record.show(known.of_store(record.store.id), with_statuses=statuses) for record in records]

    if page is not None:
        rows = await readable_stores_page(session, principal, page, organization)
        return Page(items=await show(rows.rows), next=rows.next)
    if organization is not None:
        return await show(await present_stores_of(session, principal, organization))
    return await show(await readable_stores(session, principal))


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
