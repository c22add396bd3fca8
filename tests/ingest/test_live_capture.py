"""Capture of live cameras, whose lease a replica may lose and get again."""

from __future__ import annotations

import asyncio
import math
from typing import cast
from unittest.mock import AsyncMock

from contracts.frames import FrameHeader
from contracts.identity import Policy
from contracts.spec import CameraSpec, Capture
from services.ingest.live_capture import LiveCapture
from services.ingest.publishing import Publisher
from services.ingest.sources.opening import open_source
from services.kit.nats.leases.lease import Lease

SPEC = CameraSpec(store="shop", camera="door", policy=Policy.LATEST, capture=Capture(width=64))


class Watched:
    """Takes all frames of a live camera, and says so."""

    def __init__(self) -> None:
        self.sessions: list[str] = []
        self.dropped = 0
        self.changed = asyncio.Condition()

    async def offer(self, header: FrameHeader, _jpeg: bytes, _spec: CameraSpec) -> bool:
        async with self.changed:
            self.sessions.append(header.session)
            self.changed.notify_all()
        return True

    def drop(self) -> None:
        self.dropped += 1

    async def see(self, frames: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.sessions) >= frames)


async def test_who_had_lost_the_camera_and_has_it_again_begins_another_session() -> None:
    """Another replica may have shown the same people meanwhile, and the tracker have ended the first one for that."""
    watched, lease = Watched(), object.__new__(Lease)
    lease.epoch, lease._until = 0, math.inf
    capture = LiveCapture(cast("Publisher", watched), AsyncMock(), lambda: SPEC, lease)
    source = open_source("sim://door?fps=20&width=320&height=180")
    showing = asyncio.create_task(capture.run(source))
    async with asyncio.timeout(20):
        await watched.see(3)
        lease._until = 0.0
        while not watched.dropped:  # noqa: ASYNC110  # no event tells it
            await asyncio.sleep(0.01)
        before = len(watched.sessions)
        lease.epoch, lease._until = 1, math.inf
        await watched.see(before + 3)
    showing.cancel()
    await asyncio.gather(showing, return_exceptions=True)
    source.close()

    assert len(set(watched.sessions[:before])) == 1
    assert len(set(watched.sessions[before:])) == 1
    assert watched.sessions[0] != watched.sessions[-1]
