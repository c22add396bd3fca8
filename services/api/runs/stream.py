"""The progress of a run as server-sent events, until it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from services.api.live.stream import RightsCheck
from services.api.runs.schemas import RunOut
from services.kit.nats.bus import Bus
from services.kit.nats.run_entries import follow_run
from services.kit.tasks import cancel_and_wait


class RunStream(EventSourceResponse):
    """Sends a run's progress: `progress` at each change, then `ended`, or `removed`."""

    def __init__(self, bus: Bus, name: str, check: RightsCheck, share: ExitStack, heartbeat_seconds: float) -> None:
        super().__init__(_events(bus, name, check), ping=heartbeat_seconds)
        self._share = share

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._share.close()


async def _events(bus: Bus, name: str, check: RightsCheck) -> AsyncIterator[ServerSentEvent]:
    """The events, the newest where the reader is slow, for as long as the check allows."""
    newest: asyncio.Queue[RunOut | None] = asyncio.Queue(maxsize=1)

    def put(shown: RunOut | None) -> None:
        if newest.full():
            newest.get_nowait()
        newest.put_nowait(shown)

    async def follow() -> None:
        async for run, progress in follow_run(bus, name):
            put(None if run is None else RunOut.of(run, progress))

    following = asyncio.create_task(follow(), name=f"progress of {name}")
    try:
        shown: RunOut | None = None
        while not (following.done() and newest.empty()):
            got = asyncio.create_task(newest.get())
            await asyncio.wait([got, following], timeout=check.seconds, return_when=asyncio.FIRST_COMPLETED)
            if not got.done():
                await cancel_and_wait(got)
                if not following.done() and not await check.allows():
                    return  # the reader asks again, and gets the reason
                continue
            shown = got.result()
            if shown is None:
                yield ServerSentEvent(event="removed", data="{}")
                return
            yield ServerSentEvent(event="progress", data=shown.model_dump_json())
        if shown is not None:
            yield ServerSentEvent(event="ended", data=shown.model_dump_json())
    finally:
        await cancel_and_wait(following)
