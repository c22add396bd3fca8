"""Fast publishing to a stream with one writer: in order, each message once, through any outage.

Each message has the header of its expected sequence number, and the server refuses it at another one. So there are no
acks: the stream's last sequence number is polled, and missing messages are sent again. A second writer, such as a
replica that was suspended for longer than its lease, is recognised by a header of the last message.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple
from uuid import uuid4

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from contracts.streams import Stream
from services.kit.nats.bus import Bus
from services.kit.retry import Backoff
from services.replay.errors import RunError, Superseded

WINDOW = 1024
"""Greatest number of messages in flight."""
RESEND_AFTER = 0.3
"""Seconds without progress after which messages in flight are taken for lost."""
EXPECTED = "Nats-Expected-Last-Sequence"
WRITER = "Metrica-Writer"
"""Header with the name of the publisher that wrote a message."""


class _Message(NamedTuple):
    sequence: int
    subject: str
    payload: bytes
    headers: Mapping[str, str]


class OrderedPublisher:
    """Publishes to one stream.

    Args:
        bus: the connection.
        stream: to publish to.
        last: sequence number of the stream's last message; 0 for a new, empty stream.
    """

    def __init__(self, bus: Bus, stream: Stream, last: int = 0) -> None:
        self._bus, self._stream = bus, stream.name
        self._in_flight: deque[_Message] = deque()
        self._sequence = self._stored = last
        self._settling = asyncio.Lock()
        self._writer = uuid4().hex

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> None:
        """Publish a message; waits while too many are in flight.

        Raises:
            RunError: the stream was deleted.
            Superseded: somebody else has written to it.
        """
        if len(self._in_flight) >= WINDOW:
            await self._settle(WINDOW // 2)
        self._sequence += 1
        message = _Message(self._sequence, subject, payload, headers)
        self._in_flight.append(message)
        await self._send(message)

    async def flush(self) -> None:
        """Wait until all messages are stored.

        Raises:
            RunError: the stream was deleted.
            Superseded: somebody else has written to it.
        """
        await self._settle(0)

    async def _settle(self, most: int) -> None:
        """Wait until at most `most` messages are in flight."""
        async with self._settling:
            backoff = Backoff()
            while len(self._in_flight) > most:
                try:
                    arrived = await self._poll()
                except NotFoundError:
                    raise RunError("the run was dropped while it was fed") from None
                except (NatsError, TimeoutError, OSError):
                    await backoff.wait()
                    continue
                if arrived:
                    backoff.reset()
                elif await backoff.wait() > RESEND_AFTER:
                    for message in list(self._in_flight):
                        await self._send(message)

    async def _poll(self) -> int:
        """Read the stream's last sequence number. Returns the number of messages that were stored since."""
        last, arrived = (await self._bus.js.stream_info(self._stream)).state.last_seq, 0
        if last > self._stored:
            newest = await self._bus.js.get_msg(self._stream, last)
            if last > self._sequence or (newest.headers or {}).get(WRITER) != self._writer:
                raise Superseded(f"another one writes to {self._stream}")
            self._stored = last
        while self._in_flight and self._in_flight[0].sequence <= last:
            self._in_flight.popleft()
            arrived += 1
        return arrived

    async def _send(self, message: _Message) -> None:
        headers = {**message.headers, WRITER: self._writer, EXPECTED: str(message.sequence - 1)}
        try:
            await self._bus.client.publish(message.subject, message.payload, headers=headers)
        except NatsError:
            return  # not connected: the message is found missing, and sent again
