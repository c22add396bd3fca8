"""Recording: the frames of a camera whose owner has switched that on are stored beside, to be looked at once more.

Counting never waits for it: what the recording's stream does not take in time is not recorded, and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque

from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError
from prometheus_client import Counter

from contracts.frames import FrameHeader
from contracts.subjects import recorded
from services.kit.nats.bus import Bus, StreamFull

AHEAD = 16
"""Frames that wait to be stored at most: a second or so of a camera."""

UNRECORDED = Counter("metrica_ingest_unrecorded_total", "Frames that were to be recorded and could not be", ["camera"])


class Recorder:
    """Stores one camera's frames, one after the other."""

    def __init__(self, bus: Bus, camera: str) -> None:
        self._bus, self._camera = bus, camera
        self._waiting: deque[tuple[FrameHeader, bytes]] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, header: FrameHeader, jpeg: bytes) -> None:
        """Record a frame, soon; the oldest that waits gives way where too many do."""
        if len(self._waiting) >= AHEAD:
            self._waiting.popleft()
            UNRECORDED.labels(self._camera).inc()
        self._waiting.append((header, jpeg))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._store(), name=f"record {self._camera}")

    async def room(self) -> None:
        """Wait until nothing need give way. It never takes long: what cannot be stored is given up."""
        if len(self._waiting) >= AHEAD and self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Store what waits."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _store(self) -> None:
        while self._waiting:
            header, jpeg = self._waiting.popleft()
            subject = recorded(header.run, header.store, header.camera)
            try:
                await self._bus.try_publish(subject, jpeg, headers=header.to_headers())
            except NoStreamResponseError:
                await self._bus.declare()
                UNRECORDED.labels(self._camera).inc()
            except (NatsError, APIError, TimeoutError, OSError, StreamFull):
                UNRECORDED.labels(self._camera).inc()
