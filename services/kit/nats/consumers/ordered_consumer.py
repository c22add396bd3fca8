"""A reader's own consumer (ADR-17): every message in stream order, without acks, and made anew at a gap."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from math import inf

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.consumer import Consumer
from services.kit.nats.consumers.stream_position import StreamPosition, newest_valid, remember

REMEMBER_EVERY = 1.0
"""Seconds between stream positions that are remembered, besides the last one."""
UNUSED_CONSUMER = 60.0
"""Seconds without its reader after which the server deletes an ordered (ephemeral) consumer."""

log = logger()


class OrderedConsumer(Consumer):
    """All messages of a stream that match, in its order. After an outage it goes on behind the last one taken.

    Args:
        bus: the connection.
        stream: its name.
        config: where to start, and what to read. Without a durable name.
        ahead: most messages that are prefetched.
    """

    def __init__(self, bus: Bus, stream: str, config: ConsumerConfig, *, ahead: int = 256) -> None:
        super().__init__(bus, stream, config, ahead=ahead)
        self._read_up_to: int | None = None
        """Sequence number in the stream of the last message that the caller got; None before the first."""
        self._newest: Msg | None = None
        self._positions: tuple[StreamPosition, ...] = ()
        self._remembered_at = 0.0
        self._delivered = 0
        """Number of messages of this consumer that have arrived."""
        self._created: datetime | None = None

    @property
    def caught_up_since(self) -> float:
        """The local time (monotonic, s) since which the consumer is known to have kept nothing from us.

        It is inf while a message has not been taken, or the consumer is not up, as far as is known.
        """
        return inf if self._pull is None else self._pull.caught_up_since

    def _taken(self, msg: Msg) -> None:
        self._read_up_to, self._newest = msg.metadata.sequence.stream, msg
        if time.monotonic() - self._remembered_at > REMEMBER_EVERY:
            self._remembered_at = time.monotonic()
            self._positions = remember(self._positions, StreamPosition.of(msg))

    def _accept(self, msg: Msg) -> bool:
        if msg.metadata.sequence.consumer != self._delivered + 1:
            return False
        self._delivered += 1
        return True

    async def _prepare(self) -> ConsumerConfig:
        """Read again from behind the last message that the caller got."""
        if self._arrived and self._read_up_to is not None:  # a batch that was cancelled is unread again
            self._read_up_to = min(self._read_up_to, self._arrived[0].metadata.sequence.stream - 1)
        self._arrived.clear()
        self._delivered = 0
        await self._check_stream()
        return self._resumed()

    async def _check_stream(self) -> None:
        """Start from the beginning where the stream was created anew, as its numbers start from 1 again."""
        created = (await self._bus.js.stream_info(self._stream)).created
        if self._created is not None and created != self._created:
            self._begin_anew()
        self._created = created
        if self._newest is not None:
            self._positions, self._newest = remember(self._positions, StreamPosition.of(self._newest)), None
        if self._read_up_to and self._positions:
            await self._check_position(self._read_up_to, self._positions)

    async def _check_position(self, read_up_to: int, positions: tuple[StreamPosition, ...]) -> None:
        """Step back to the newest valid position: a power cut may lose the last messages, and their numbers are reused.

        Args:
            read_up_to: sequence number of the last message that the caller got.
            positions: the newest first.
        """
        valid = await newest_valid(self._bus, self._stream, positions)
        if valid is None:
            self._begin_anew()
        elif valid != positions[0]:
            self._read_up_to = min(read_up_to, valid.seq)
            self._positions = positions[positions.index(valid) :]
            log.warning(
                "the stream lost its last messages; reading on from before them",
                stream=self._stream,
                position=self._read_up_to,
                instead_of=positions[0].seq,
            )

    def _begin_anew(self) -> None:
        log.warning("the stream was made anew; reading it from its beginning", stream=self._stream)
        self._read_up_to, self._newest, self._positions = 0, None, ()

    def _resumed(self) -> ConsumerConfig:
        config = replace(self._config, ack_policy=AckPolicy.NONE, mem_storage=True, inactive_threshold=UNUSED_CONSUMER)
        if config.deliver_policy is DeliverPolicy.LAST_PER_SUBJECT or self._read_up_to is None:
            return config
        return replace(
            config,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._read_up_to + 1,
            opt_start_time=None,
        )
