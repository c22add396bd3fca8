"""Recording: where a camera's spec asks for it, its frames are stored in a second stream, for later replays.

Counting never waits for the recording: frames that the recording's stream does not take in time are not recorded. Their
number is in the metric `metrica_ingest_unrecorded_total`.
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
"""Most frames that wait to be stored: about a second of a camera."""

UNRECORDED = Counter("metrica_ingest_unrecorded_total", "Frames that were to be recorded and could not be", ["camera"])


class Recorder:
    """Stores one camera's frames in the recording's stream, one after the other."""

    def __init__(self, bus: Bus, camera: str) -> None:
        self._bus, self._camera = bus, camera
        self._waiting: deque[tuple[FrameHeader, bytes]] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, header: FrameHeader, jpeg: bytes) -> None:
        """Queue a frame to be recorded; where AHEAD frames wait already, the oldest of them is dropped."""
        if len(self._waiting) >= AHEAD:
            self._waiting.popleft()
            UNRECORDED.labels(self._camera).inc()
        self._waiting.append((header, jpeg))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._store(), name=f"record {self._camera}")

    async def room(self) -> None:
        """Wait until `put` drops no frame. The wait is short: a frame that cannot be stored is given up."""
        if len(self._waiting) >= AHEAD and self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Store the frames that wait."""
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
