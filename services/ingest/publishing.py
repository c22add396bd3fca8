"""Publishing of frames by the source's policy, with a preview for the dashboard, and a recording where it is on."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from secrets import token_hex

from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError
from prometheus_client import Counter

from contracts.frames import FrameHeader
from contracts.spec import CameraSpec
from contracts.subjects import frames, kept, preview
from services.ingest.recording import Recorder
from services.kit.nats.bus import Bus, StreamFull

FULL_DELAY = 0.05
"""Seconds until a frame is offered again to a full stream: a few inferences of the 64 that are queued."""
LEAVE_TIMEOUT = 1.0
"""Seconds that leaving a camera may take while the broker is away."""

PUBLISHED = Counter("metrica_ingest_frames_total", "Frames published", ["camera"])
DROPPED = Counter("metrica_ingest_dropped_total", "Frames of live cameras that were not published", ["camera"])


class Publisher:
    """Publishes one camera's frames and its preview, and records them where the spec says so.

    Attributes:
        frames: number of frames published.
        dropped: number of frames of a live camera that were not.
    """

    def __init__(self, bus: Bus, camera: str) -> None:
        self._bus, self._camera = bus, camera
        self._recorder = Recorder(bus, camera)
        self._previewed_at = 0.0
        self.frames = self.dropped = 0

    async def keep(self, header: FrameHeader, jpeg: bytes, spec: CameraSpec) -> None:
        """Publish a frame that must not be lost: wait while the stream is full or the broker away."""
        subject = kept(header.run, spec.pool, header.store, header.camera)
        headers = _traced(header).to_headers()
        # With the revision: a frame that is queued again for another model is no duplicate of the first one.
        # With the server: a restarted broker may remember a frame's id, and have lost the frame's results.
        msg_id = f"{header.run}/{header.id}/{spec.revision}/{self._bus.server}"
        while True:
            try:
                await self._bus.publish(subject, jpeg, headers=headers, msg_id=msg_id)
                break
            except StreamFull:
                await asyncio.sleep(FULL_DELAY)
        self._count()
        if spec.record:
            await self._recorder.room()
            self._recorder.put(header, jpeg)
        await self._preview(header, jpeg, spec)

    async def offer(self, header: FrameHeader, jpeg: bytes, spec: CameraSpec) -> bool:
        """Publish a live frame once; a frame that the broker does not take is dropped and counted.

        Returns:
            True where the broker has confirmed that it stored the frame.
        """
        subject = frames(header.run, spec.pool, header.store, header.camera)
        if not self._bus.connected:
            self.drop()
            return False
        try:
            await self._bus.try_publish(subject, jpeg, headers=_traced(header).to_headers())
        except NoStreamResponseError:
            await self._bus.declare()
            self.drop()
            return False
        except (NatsError, APIError, TimeoutError, OSError, StreamFull):
            self.drop()
            return False
        self._count()
        if spec.record:
            self._recorder.put(header, jpeg)
        await self._preview(header, jpeg, spec)
        return True

    async def close(self) -> None:
        """Store the frames that wait to be recorded."""
        await self._recorder.close()

    def drop(self) -> None:
        """Count a frame that was not published."""
        self.dropped += 1
        DROPPED.labels(self._camera).inc()

    def _count(self) -> None:
        self.frames += 1
        PUBLISHED.labels(self._camera).inc()

    async def _preview(self, header: FrameHeader, jpeg: bytes, spec: CameraSpec) -> None:
        now = time.monotonic()
        if not jpeg or spec.preview_fps == 0 or now - self._previewed_at < 1 / spec.preview_fps:
            return
        self._previewed_at = now
        headers = header.to_headers()
        del headers["Nats-Msg-Id"]  # a frame that is read again after a restart is previewed again
        if self._bus.connected:
            with suppress(NatsError):  # at most once: the next preview follows soon
                await self._bus.send(preview(header.run, header.store, header.camera), jpeg, headers=headers)


def _traced(header: FrameHeader) -> FrameHeader:
    """Begin a trace (W3C trace context) with a frame; its detections and crossings continue it."""
    return header.model_copy(update={"traceparent": f"00-{token_hex(16)}-{token_hex(8)}-01"})
