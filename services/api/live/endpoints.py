"""`/v1/stores/{store}/events`, `/v1/organizations/{organization}/events`, `/v1/cameras/{camera}/tracks`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Principal
from services.api.access.repository import readable_camera, readable_store
from services.api.dependencies import CameraID, OrganizationID, StoreID
from services.api.http.openapi import refer
from services.api.http.problems import NotFound, describe
from services.api.live import descriptions, messages
from services.api.live.dependencies import StreamOpenerDep
from services.api.live.hub import EVERY
from services.api.live.organization import OrganizationView
from services.api.live.stream import LiveStream

router = APIRouter(tags=["live"])


def _answers(example: str) -> dict[int | str, dict[str, Any]]:
    stream = {"schema": {"type": "string"}, "example": example}
    return {
        200: {"description": "The stream.", "content": {"text/event-stream": stream}},
        **describe(
            HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE
        ),
    }


def _events(*names: str) -> dict[str, dict[str, str]]:
    """The events of a stream, each with its schema; an extension of OpenAPI, which has no word for them."""
    return {name: refer(messages.EVENTS[name]) for name in names}


@router.get(
    "/stores/{store}/events",
    summary="Follow a store live",
    description=descriptions.STORE,
    status_code=HTTPStatus.OK,
    response_class=LiveStream,
    openapi_extra={
        "parameters": [descriptions.LAST_EVENT_ID],
        "x-events": _events("snapshot", "counts", "status", "crossing", "tracks", "heartbeat"),
    },
    responses=_answers(descriptions.STORE_EXAMPLE),
)
async def follow_store(store: StoreID, opener: StreamOpenerDep) -> LiveStream:
    """Live counts, statuses and tracks of a store."""

    async def check(session: AsyncSession, caller: Principal) -> None:
        await readable_store(session, caller, store)

    async def begin() -> None:
        listener.mailbox.begin(await opener.feed.snapshots([store]))

    async with opener.sessions() as session:
        row = await readable_store(session, opener.principal, store)
    with opener.share(row.organization) as share:
        # Before the snapshot is read, so that no event is lost between.
        listener = opener.hub.join(store, [store], (store, EVERY))
        return await opener.open(listener, share, lambda: opener.ask_again(check), begin)


@router.get(
    "/organizations/{organization}/events",
    summary="Follow an organization live",
    description=descriptions.ORGANIZATION,
    status_code=HTTPStatus.OK,
    response_class=LiveStream,
    openapi_extra={
        "parameters": [descriptions.LAST_EVENT_ID],
        "x-events": _events("stores", "snapshot", "counts", "status", "crossing", "heartbeat"),
    },
    responses=_answers(descriptions.ORGANIZATION_EXAMPLE),
)
async def follow_organization(organization: OrganizationID, opener: StreamOpenerDep) -> LiveStream:
    """Live counts and statuses of all stores of an organization."""
    view = OrganizationView(opener, organization)
    async with opener.sessions() as session:
        stores = await view.stores(session, opener.principal)
    with opener.share(organization) as share:
        listener = opener.hub.join(organization)
        return await opener.open(listener, share, lambda: view.look(listener), lambda: view.begin(listener, stores))


@router.get(
    "/cameras/{camera}/tracks",
    summary="Follow a camera's tracks live",
    description=descriptions.TRACKS,
    status_code=HTTPStatus.OK,
    response_class=LiveStream,
    openapi_extra={"x-events": _events("tracks", "heartbeat")},
    responses=_answers(descriptions.TRACKS_EXAMPLE),
)
async def follow_tracks(camera: CameraID, opener: StreamOpenerDep) -> LiveStream:
    """Live boxes of a camera."""
    async with opener.sessions() as session:
        store = (await readable_camera(session, opener.principal, camera)).store
        organization = (await readable_store(session, opener.principal, store)).organization

    async def check(session: AsyncSession, caller: Principal) -> None:
        if (await readable_camera(session, caller, camera)).store != store:
            raise NotFound("The camera {camera!r} is another store's now.", code="camera-moved", camera=camera)

    with opener.share(organization) as share:
        listener = opener.hub.join(camera, view=(store, camera))
        return await opener.open(listener, share, lambda: opener.ask_again(check))
