"""`/v1/stores/{store}/events`."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter

from services.api.access import readable_store
from services.api.auth.principal import still_reads
from services.api.dependencies import PartsDep, PrincipalDep, StoreID
from services.api.live import messages
from services.api.live.stream import LiveStream, Watch
from services.api.parts import Parts
from services.api.problems import describe

router = APIRouter(tags=["live"])

DESCRIPTION = """
A server-sent event stream. `snapshot` comes first and holds everything; then what changes:

- `counts`: the store's totals after a commit; the event's `id` is the store's version,
- `status`: how a camera does, as one service sees it,
- `tracks`: the people that are tracked in a frame, at most 10 a second for each camera,
- `snapshot` again at the store's midnight, at the reset of its occupancy and when its configuration changes,
- `heartbeat`: every few seconds.

All of them are absolute: a newer one takes the place of an older one, and a slow reader skips.
"""

LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Browsers send it when they come back. It is not needed: the snapshot holds all that they missed.",
}


@router.get(
    "/stores/{store}/events",
    summary="Follow a store live",
    description=DESCRIPTION,
    status_code=HTTPStatus.OK,
    response_class=LiveStream,
    openapi_extra={"parameters": [LAST_EVENT_ID]},
    responses={
        200: {"description": "The stream.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def follow_store(
    store: StoreID,
    of: PartsDep,
    principal: PrincipalDep,
) -> LiveStream:
    """Live counts, statuses and tracks of a store."""
    async with of.sessions() as session:
        await readable_store(session, principal, store)
    listener = of.hub.join(store)  # before the snapshot is read, so that nothing falls between the two
    try:
        first = await of.feed.snapshot(store)
    except BaseException:  # a browser that goes away meanwhile cancels this, and would be listened for for ever
        of.hub.leave(listener)
        raise
    watch = Watch(lambda: still_reads(of, principal, store), of.settings.recheck_seconds)
    return LiveStream(of.hub, listener, first, lambda: _heartbeat(of), of.settings.heartbeat_seconds, watch)


def _heartbeat(of: Parts) -> bytes:
    return messages.heartbeat(of.clock(), bus=of.bus.connected)
