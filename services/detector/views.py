"""Learnt backgrounds of cameras, saved so that the next replica need not learn them while people walk through.

They are saved in the broker's memory, never on its disk: pictures of people are stored only where that is set.
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
"""Seconds between saves of one background: so much of it may be lost to the next replica."""
MOST = 1000
"""Streams that are remembered at most, as not every session has an end."""
PATIENCE = 2.0
"""Seconds for which frames wait for a saved background to be read."""

T = TypeVar("T")
log = logger()


class Views:
    """The bucket `views`: an entry for each live camera, and for each session of a file.

    Args:
        bus: the connection.
        detector: has the backgrounds; only `thread` may use it.
        thread: the detector's own.
    """

    def __init__(self, bus: Bus, detector: LearningDetector, thread: ThreadPoolExecutor) -> None:
        self._bus, self._detector, self._thread = bus, detector, thread
        self._bucket: KeyValue | None = None
        self._kept_at: dict[str, float] = {}

    async def recall(self, frame: FrameHeader) -> None:
        """Give the detector the saved background, before a stream's first frame."""
        stream = stream_of(frame)
        if frame.run != LIVE or frame.end is not None or stream in self._kept_at:
            return
        if len(self._kept_at) >= MOST:
            self._kept_at.clear()  # streams that go on are recalled once more
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
        """Save the background after a frame, every `EVERY` seconds. A failure is logged: the next save may succeed."""
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
    """Per camera where it is live, as its next session shows the same view; per session where it plays a file."""
    return frame.camera if frame.policy is Policy.LATEST else f"{frame.camera}.{frame.session}"
