"""Memory of a detector's views of its cameras, kept so that its successor need not learn them from passers-by.

It lies in the memory of the broker, and not on its disk: nobody's picture is stored unasked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, KeyNotFoundError
from nats.js.kv import KeyValue

from contracts.frames import FrameHeader
from contracts.identity import LIVE, Policy
from contracts.streams import VIEWS
from services.detector.backends.protocol import LearningDetector
from services.detector.inference import stream_of
from services.kit.logs import logger
from services.kit.nats.bus import Bus

EVERY = 5.0
"""Seconds after which what was learnt is kept once more: what a successor does not know."""
MOST = 1000
"""Streams that are remembered; not every session has an end."""
PATIENCE = 2.0
"""Seconds for which frames wait to hear of what was kept."""

T = TypeVar("T")
log = logger()


class Views:
    """The bucket `views`: an entry for each live camera, and for each session of a file.

    Args:
        bus: the connection.
        detector: whose views they are; one thread at a time works with it.
        thread: that one.
    """

    def __init__(self, bus: Bus, detector: LearningDetector, thread: ThreadPoolExecutor) -> None:
        self._bus, self._detector, self._thread = bus, detector, thread
        self._bucket: KeyValue | None = None
        self._kept_at: dict[str, float] = {}

    async def recall(self, frame: FrameHeader) -> None:
        """Before a stream's first frame: go on with what was known of the view."""
        stream = stream_of(frame)
        if frame.run != LIVE or frame.end is not None or stream in self._kept_at:
            return
        if len(self._kept_at) >= MOST:
            self._kept_at.clear()  # those that go on are recalled once more
        self._kept_at[stream] = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                learnt = (await (await self._open()).get(_key(frame))).value or b""
            await self._in_thread(lambda: self._detector.recall(stream, learnt))
        except (KeyNotFoundError, BucketNotFoundError):
            log.info("the camera's background is learnt from what it shows now", camera=frame.camera)
        except (NatsError, TimeoutError, OSError, ValueError) as error:
            log.warning("what was learnt of a camera's background is lost", camera=frame.camera, reason=repr(error))
        else:
            log.info("the camera's background is known from before", camera=frame.camera)

    async def keep(self, frame: FrameHeader) -> None:
        """After a frame: keep what is known of its view, now and then. Where that does not succeed, less is known."""
        stream, now = stream_of(frame), time.monotonic()
        if frame.end is not None:
            self._kept_at.pop(stream, None)
        if now - self._kept_at.get(stream, now) < EVERY:
            return
        self._kept_at[stream] = now
        learnt = await self._in_thread(lambda: self._detector.learnt(stream))
        if learnt is None:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await (await self._open()).put(_key(frame), learnt)
        except (NatsError, TimeoutError, OSError) as error:
            log.debug("what was learnt of a camera's background is not kept", camera=frame.camera, reason=repr(error))

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            self._bucket = await self._bus.js.key_value(VIEWS.name)
        return self._bucket

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _key(frame: FrameHeader) -> str:
    """A live camera shows the same view in its next session; a file is another film."""
    return frame.camera if frame.policy is Policy.LATEST else f"{frame.camera}.{frame.session}"
