"""Frames onto the bus, each kind of source by its policy; a preview for people to see; a recording where that is on."""

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

PUBLISHED = Counter("metrica_ingest_frames_total", "Frames published", ["camera"])
DROPPED = Counter("metrica_ingest_dropped_total", "Frames of live cameras that were not published", ["camera"])


class Publisher:
    """Publishes one camera's frames and its preview, and records them where its owner says so."""

    def __init__(self, bus: Bus, camera: str) -> None:
        self._bus, self._camera = bus, camera
        self._recorder = Recorder(bus, camera)
        self._previewed_at = 0.0
        self.frames = self.dropped = 0

    async def keep(self, header: FrameHeader, jpeg: bytes, spec: CameraSpec) -> None:
        """Publish a frame that must not be lost: waits while the stream is full or the broker away."""
        subject = kept(header.run, spec.pool, header.store, header.camera)
        headers = _traced(header).to_headers()
        # By revision: frames that are queued anew for another model must not be taken for those that were there before.
        # By server: one that was started anew may have kept a frame's id, and lost what was made of the frame.
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
        """Publish a live frame once; one that the broker does not take is dropped and counted.

        Returns:
            Whether it was surely stored.
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
        """Finish what is under way."""
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
        del headers["Nats-Msg-Id"]  # after a restart the same frame is a preview again
        if self._bus.connected:
            with suppress(NatsError):  # at most once: the next one is soon there
                await self._bus.client.publish(preview(header.run, header.store, header.camera), jpeg, headers=headers)


def _traced(header: FrameHeader) -> FrameHeader:
    """A frame begins a trace (W3C trace context) that its detections and crossings carry on."""
    return header.model_copy(update={"traceparent": f"00-{token_hex(16)}-{token_hex(8)}-01"})
