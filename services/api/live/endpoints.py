"""`/v1/stores/{store}/events`, `/v1/organizations/{organization}/events`, `/v1/cameras/{camera}/tracks`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import Principal, readable_camera, readable_store
from services.api.auth.principal import ask_again
from services.api.dependencies import CameraID, Hold, HoldDep, OrganizationID, PartsDep, PrincipalDep, StoreID
from services.api.http.problems import NotFound, describe
from services.api.live import descriptions, messages
from services.api.live.hub import EVERY, Listener
from services.api.live.organization import OrganizationView
from services.api.live.stream import LiveStream, Watch
from services.api.quotas import Kind
from services.api.state import Parts

router = APIRouter(tags=["live"])


def _answers(example: str) -> dict[int | str, dict[str, Any]]:
    stream = {"schema": {"type": "string"}, "example": example}
    return {
        200: {"description": "The stream.", "content": {"text/event-stream": stream}},
        **describe(
            HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE
        ),
    }


@router.get(
    "/stores/{store}/events",
    summary="Follow a store live",
    description=descriptions.STORE,
    status_code=HTTPStatus.OK,
    response_class=LiveStream,
    openapi_extra={"parameters": [descriptions.LAST_EVENT_ID]},
    responses=_answers(descriptions.STORE_EXAMPLE),
)
async def follow_store(store: StoreID, of: PartsDep, principal: PrincipalDep, hold: HoldDep) -> LiveStream:
    """Live counts, statuses and tracks of a store."""

    async def ask(session: AsyncSession, who: Principal) -> None:
        await readable_store(session, who, store)

    async def begin() -> None:
        listener.mailbox.begin(await of.feed.snapshots([store]))

    async with of.sessions() as session:
        found = await readable_store(session, principal, store)
    with _share(hold, found.organization) as share:
        listener = of.hub.join(store, [store], (store, EVERY))  # before the snapshot is read: nothing falls between
        return await _stream(of, listener, share, lambda: ask_again(of, principal, ask), begin)


@router.get(
    "/organizations/{organization}/events",
    summary="Follow an organization live",
    description=descriptions.ORGANIZATION,
    status_code=HTTPStatus.OK,
    response_class=LiveStream,
    openapi_extra={"parameters": [descriptions.LAST_EVENT_ID]},
    responses=_answers(descriptions.ORGANIZATION_EXAMPLE),
)
async def follow_organization(
    organization: OrganizationID, of: PartsDep, principal: PrincipalDep, hold: HoldDep
) -> LiveStream:
    """Live counts and statuses of all stores of an organization."""
    view = OrganizationView(of, principal, organization)
    async with of.sessions() as session:
        stores = await view.stores(session, principal)
    with _share(hold, organization) as share:
        listener = of.hub.join(organization)
        return await _stream(of, listener, share, lambda: view.look(listener), lambda: view.begin(listener, stores))


@router.get(
    "/cameras/{camera}/tracks",
    summary="Follow a camera's tracks live",
    description=descriptions.TRACKS,
    status_code=HTTPStatus.OK,
    response_class=LiveStream,
    responses=_answers(descriptions.TRACKS_EXAMPLE),
)
async def follow_tracks(camera: CameraID, of: PartsDep, principal: PrincipalDep, hold: HoldDep) -> LiveStream:
    """Live boxes of a camera."""
    async with of.sessions() as session:
        store = (await readable_camera(session, principal, camera)).store
        organization = (await readable_store(session, principal, store)).organization

    async def ask(session: AsyncSession, who: Principal) -> None:
        if (await readable_camera(session, who, camera)).store != store:
            raise NotFound(f"The camera {camera!r} is another store's now.")

    with _share(hold, organization) as share:
        listener = of.hub.join(camera, view=(store, camera))
        return await _stream(of, listener, share, lambda: ask_again(of, principal, ask))


@contextmanager
def _share(hold: Hold, organization: str) -> Iterator[ExitStack]:
    """A share of the streams, given back at the end unless a stream has taken it over."""
    with ExitStack() as share:
        share.enter_context(hold(Kind.STREAM, organization))
        yield share


async def _stream(
    of: Parts,
    listener: Listener,
    share: ExitStack,
    look: Callable[[], Awaitable[None]],
    begin: Callable[[], Awaitable[None]] | None = None,
) -> LiveStream:
    """What a listener is sent, once `begin` has left in its mailbox what comes first."""
    try:
        if begin is not None:
            await begin()
    except BaseException:  # a browser that goes away meanwhile cancels this, and would be listened for for ever
        of.hub.leave(listener)
        raise
    return LiveStream(
        of.hub,
        listener,
        lambda: messages.heartbeat(of.clock(), bus=of.bus.connected),
        of.settings.heartbeat_seconds,
        Watch(look, of.settings.recheck_seconds),
        share.pop_all(),
    )
