"""How often a frame was looked at: what keeps one that kills its detectors from killing them for ever.

How often it was delivered does not tell: with the frame that kills a process go all that were in its hands. So who is
about to look at a frame that comes again notes it before. A frame that comes for the first time costs nothing.
"""

from __future__ import annotations

from contextlib import suppress

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from contracts.frames import FrameHeader
from contracts.streams import ATTEMPTS
from services.kit.nats.bus import Backoff, Bus


class Attempts:
    """The bucket `attempts`: an entry for each frame that somebody looks at again, or died over."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._bucket: KeyValue | None = None

    async def begin(self, msg: Msg, frame: FrameHeader) -> int:
        """Say that a frame is about to be looked at; waits through an outage of the broker.

        Returns:
            which attempt this is. The first is not noted; where there was none, as its replica died over another
            frame, it is taken for one all the same.
        """
        if not _comes_again(msg):
            return 1
        backoff = Backoff()
        while True:
            try:
                bucket = await self._open()
                attempt = 1 + await _read(bucket, _key(frame))
                await bucket.put(_key(frame), str(attempt).encode())
            except (NatsError, TimeoutError, OSError):
                await backoff.wait()
            else:
                return attempt

    async def survived(self, msg: Msg, frame: FrameHeader) -> None:
        """Say that a frame was looked at: if its answer is lost, it was not its fault."""
        if _comes_again(msg) and self._bucket is not None:
            with suppress(NatsError, TimeoutError, OSError):
                await self._bucket.delete(_key(frame))

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            self._bucket = await self._bus.bucket(ATTEMPTS)
        return self._bucket


def _comes_again(msg: Msg) -> bool:
    return msg.metadata.num_delivered > 1


def _key(frame: FrameHeader) -> str:
    return f"{frame.run}/{frame.id}"


async def _read(bucket: KeyValue, key: str) -> int:
    try:
        return int((await bucket.get(key)).value or b"1")
    except (KeyNotFoundError, ValueError):
        return 1
