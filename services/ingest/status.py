"""A camera's status as ingest reports it: when it changes, and from time to time while it stays the same."""

from __future__ import annotations

import time

from contracts.events import State, Status
from contracts.identity import LIVE
from contracts.subjects import status
from services.ingest.publishing import Publisher
from services.ingest.source import FrameSource
from services.kit.logs import logger
from services.kit.nats.bus import Bus

SERVICE = "ingest"
REPEAT = 10.0
"""Seconds between reports of a camera whose state stays the same."""

log = logger()


class StatusReporter:
    """Publishes one camera's status."""

    def __init__(self, bus: Bus, store: str, camera: str, publisher: Publisher) -> None:
        self._bus, self._store, self._camera, self._publisher = bus, store, camera, publisher
        self._last: tuple[State, str] | None = None
        self._reported_at = 0.0
        self._frames_then = 0

    async def report(self, state: State, message: str = "", *, session: str | None = None) -> None:
        """Publish a status.

        A change of state is published at once. The same status again, or another message of a running camera, is
        published only `REPEAT` seconds after the last report, and skipped before.
        """
        now = time.monotonic()
        changed = (state, message) != self._last
        urgent = changed and (self._last is None or (self._last[0], state) != (State.RUNNING, State.RUNNING))
        if not urgent and now - self._reported_at < REPEAT:
            return
        if changed:
            log.info("camera", camera=self._camera, state=state, message=message)
        frames = self._publisher.frames
        elapsed = now - self._reported_at
        fps = None if urgent or elapsed <= 0 else round((frames - self._frames_then) / elapsed, 1)
        self._last, self._reported_at, self._frames_then = (state, message), now, frames
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


def notes_as_message(source: FrameSource) -> str:
    """The source's notes as sentences for a status; empty where it has none."""
    return " ".join(f"Note: {note.text}." for note in source.notes)
