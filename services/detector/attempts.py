"""Attempts at a frame, so that one that crashes the detector's process is given up after some of them.

The delivery count is not enough: when one frame crashes the process, every prefetched frame is redelivered, too. So a
worker records an attempt before it processes a redelivered frame. A first delivery costs nothing.
"""

from __future__ import annotations

from contextlib import suppress

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from contracts.frames import FrameHeader
from contracts.streams import ATTEMPTS
from services.kit.nats.bus import Bus
from services.kit.retry import retry


class Attempts:
    """The bucket `attempts`: an entry for each redelivered frame that is being processed, or crashed its process."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def begin(self, msg: Msg, frame: FrameHeader) -> int:
        """Record an attempt at a frame; waits through an outage of the broker.

        Returns:
            the number of this attempt, from 1. A first delivery always counts as an attempt, without a record, even
            where its replica crashed over another frame before.
        """
        if not _is_redelivered(msg):
            return 1
        return await retry(lambda: self._count(_key(frame)))

    async def _count(self, key: str) -> int:
        bucket = await self._bus.bucket(ATTEMPTS)
        attempt = 1 + await _read(bucket, key)
        await bucket.put(key, str(attempt).encode())
        return attempt

    async def succeeded(self, msg: Msg, frame: FrameHeader) -> None:
        """Delete the record of a frame that was processed: if its answer is lost, the frame is not the cause."""
        if _is_redelivered(msg):
            with suppress(NatsError, TimeoutError, OSError):
                await (await self._bus.js.key_value(ATTEMPTS.name)).delete(_key(frame))


def _is_redelivered(msg: Msg) -> bool:
    return msg.metadata.num_delivered > 1


def _key(frame: FrameHeader) -> str:
    return f"{frame.run}/{frame.id}"


async def _read(bucket: KeyValue, key: str) -> int:
    try:
        return int((await bucket.get(key)).value or b"1")
    except (KeyNotFoundError, ValueError):
        return 1
