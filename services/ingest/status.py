"""A camera's health in ingest's words: said when it changes, and now and then while it stays."""

from __future__ import annotations

import time

from contracts.events import State, Status
from contracts.identity import LIVE
from contracts.subjects import status
from services.ingest.publishing import Publisher
from services.kit.logs import logger
from services.kit.nats.bus import Bus

SERVICE = "ingest"
REPEAT = 10.0
"""Seconds between reports of a camera whose state stays as it is."""

log = logger()


class Reporter:
    """Publishes one camera's status."""

    def __init__(self, bus: Bus, store: str, camera: str, publisher: Publisher) -> None:
        self._bus, self._store, self._camera, self._publisher = bus, store, camera, publisher
        self._last: tuple[State, str] | None = None
        self._said_at = 0.0
        self._frames_then = 0

    async def say(self, state: State, message: str = "", *, session: str | None = None) -> None:
        """Report a state; the same one again, or another remark on a camera that runs, only after a while."""
        now = time.monotonic()
        changed = (state, message) != self._last
        urgent = changed and (self._last is None or (self._last[0], state) != (State.RUNNING, State.RUNNING))
        if not urgent and now - self._said_at < REPEAT:
            return
        if changed:
            log.info("camera", camera=self._camera, state=state, message=message)
        frames = self._publisher.frames
        elapsed = now - self._said_at
        fps = None if urgent or elapsed <= 0 else round((frames - self._frames_then) / elapsed, 1)
        self._last, self._said_at, self._frames_then = (state, message), now, frames
        event = Status(
            run=LIVE,
            store=self._store,
            camera=self._camera,
            service=SERVICE,
            state=state,
            message=message,
            at=time.time_ns(),
            session=session,
            fps=fps,
            frames=frames,
            dropped=self._publisher.dropped,
        )
        await self._bus.publish(status(LIVE, self._store, self._camera, SERVICE), event.encode())
