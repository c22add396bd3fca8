"""Appending to a stream that nobody else writes to: in order, each message once, through any outage, and fast.

Each message names the place that it must come to stand on; the server refuses it elsewhere. So nothing is acknowledged
one by one: now and then the stream is asked how far it is, and what is missing is sent again from there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from contracts.streams import Stream
from services.cli.console.errors import Refused
from services.kit.nats.bus import Backoff, Bus

WINDOW = 1024
"""Messages that may be under way."""
PATIENCE = 0.3
"""Seconds without progress after which what is under way is taken for lost."""
EXPECTED = "Nats-Expected-Last-Sequence"


class _Message(NamedTuple):
    place: int
    subject: str
    payload: bytes
    headers: Mapping[str, str]


class Appender:
    """Writes to one new, empty stream."""

    def __init__(self, bus: Bus, stream: Stream) -> None:
        self._bus, self._stream = bus, stream.name
        self._under_way: deque[_Message] = deque()
        self._place = 0
        self._turn = asyncio.Lock()

    async def append(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
        """Append a message; waits while too many are under way.

        Raises:
            Refused: the stream was deleted.
        """
        if len(self._under_way) >= WINDOW:
            await self._settle(WINDOW // 2)
        self._place += 1
        message = _Message(self._place, subject, payload, headers)
        self._under_way.append(message)
        await self._send(message)

    async def flush(self) -> None:
        """Wait until all is stored.

        Raises:
            Refused: the stream was deleted.
        """
        await self._settle(0)

    async def _settle(self, most: int) -> None:
        """Wait until at most so many messages are under way."""
        async with self._turn:
            backoff = Backoff()
            while len(self._under_way) > most:
                try:
                    arrived = await self._look()
                except NotFoundError:
                    raise Refused("the run was dropped while it was fed") from None
                except (NatsError, TimeoutError, OSError):
                    await backoff.wait()
                    continue
                if arrived:
                    backoff.reset()
                elif await backoff.wait() > PATIENCE:
                    for message in list(self._under_way):
                        await self._send(message)

    async def _look(self) -> int:
        """Ask the stream how far it is. Returns how many messages have arrived since."""
        last = (await self._bus.js.stream_info(self._stream)).state.last_seq
        arrived = 0
        while self._under_way and self._under_way[0].place <= last:
            self._under_way.popleft()
            arrived += 1
        return arrived

    async def _send(self, message: _Message) -> None:
        headers = {**message.headers, EXPECTED: str(message.place - 1)}
        try:
            await self._bus.client.publish(message.subject, message.payload, headers=headers)
        except NatsError:
            return  # the connection is away: it is noticed that the message is missing
