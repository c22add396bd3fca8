"""Reading a stream: messages as they arrive, with bounded prefetch, through any outage.

nats-py's own `fetch` waits for a full batch, FastStream's pull loop spins when a consumer is gone, and push consumers
take many seconds to notice a restarted server. This reader keeps one pull request open with an idle heartbeat: a silent
server or a lost consumer is noticed within three heartbeats, and the consumer is created again, with growing delays.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import replace
from datetime import datetime

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from services.kit.logs import logger
from services.kit.nats.ack_progress import AckProgress
from services.kit.nats.bus import Bus
from services.kit.nats.stream_position import StreamPosition, newest_valid, remember
from services.kit.retry import Backoff
from services.kit.tasks import cancel_and_wait

HEARTBEAT = 1.0
SILENCE = 3 * HEARTBEAT
REMEMBER_EVERY = 1.0
"""Seconds between stream positions that an ordered reader remembers, besides the last one."""
MOMENT = 0.01
"""Shortest wait in seconds, even for a consumer that counts as silent: this process may have been too busy to read."""
EXPIRES = 20.0
ACK_WAIT = 30.0
"""The server's default."""
UNUSED_CONSUMER = 60.0
"""Seconds without its reader after which the server deletes an ordered (ephemeral) consumer."""

log = logger()


class Reader:
    """The messages of one consumer, in the order of delivery.

    With a durable `config`, replicas share the consumer, and the caller acks each message. Without, the consumer is an
    ordered one (ADR-17): this reader's own, without acks, with every message in stream order; after an outage it goes
    on behind the last message that the caller got.

    Args:
        bus: the connection.
        stream: its name.
        config: the consumer's.
        ahead: most messages that are prefetched.
        work_limit: seconds for which in-progress acks keep a message from being redelivered; None sends none.
    """

    def __init__(
        self, bus: Bus, stream: str, config: ConsumerConfig, *, ahead: int = 256, work_limit: float | None = None
    ) -> None:
        self._bus, self._stream, self._config, self._ahead = bus, stream, config, ahead
        self._ordered = config.durable_name is None
        self._arrived: deque[Msg] = deque()
        self._wake = asyncio.Event()
        self._subscription: Subscription | None = None
        self._consumer = ""
        self._credit = 0
        self._heard = 0.0
        self._broken = True
        self._logged = False
        self._generation = -1
        self._opening: asyncio.Task[None] | None = None
        self._backoff = Backoff()
        self._fruitless = False
        """True while nothing has arrived since the last try to open."""
        self._last_stream_seq = 0
        self._newest: Msg | None = None
        self._positions: tuple[StreamPosition, ...] = ()
        self._remembered_at = 0.0
        self._last_consumer_seq = 0
        self._created: datetime | None = None
        self._recreated = False
        self._end_callback = bus.on_reconnect(self._wake.set)
        self._progress = AckProgress(config.ack_wait or ACK_WAIT, work_limit) if work_limit else None

    async def next(self) -> Msg:
        """Wait for the next message."""
        while True:
            if self._broken or self._generation != self._bus.generation:
                await self._reopen()
            if self._credit == 0 and len(self._arrived) <= self._ahead // 2:
                await self._request()
            if self._arrived:
                return self._take()
            # Only for the rest of SILENCE: a caller with a shorter timeout must find out after several calls, too.
            await self._wait(max(self._heard + SILENCE - time.monotonic(), MOMENT))
            if not self._arrived and time.monotonic() - self._heard > SILENCE:
                self._break("the consumer is silent")

    async def batch(self, most: int, *, linger: float = 0.0) -> list[Msg]:
        """Wait for at least one message, and take the others that have arrived by then.

        Args:
            most: messages to return at most.
            linger: seconds to wait for more after the first one.
        """
        before = self._last_stream_seq
        msgs = [await self.next()]
        deadline = time.monotonic() + linger
        try:
            while len(msgs) < most and not self._broken:
                if self._arrived:
                    msgs.append(self._take())
                elif (left := deadline - time.monotonic()) <= 0 or not await self._wait(left):
                    break
        except asyncio.CancelledError:
            self._arrived.extendleft(reversed(msgs))  # the caller does not get them: `close` naks them
            self._last_stream_seq = before
            raise
        return msgs

    async def close(self) -> None:
        """Stop reading. Prefetched messages get a nak, so that the server redelivers them at once."""
        self._end_callback()
        if self._opening is not None:
            await cancel_and_wait(self._opening)
        await self._unsubscribe()
        if self._progress is not None:
            await self._progress.end()
        unhandled = [] if self._ordered else list(self._arrived)
        self._arrived.clear()
        for msg in unhandled:
            try:
                await msg.nak()
            except NatsError:
                break  # no connection: they are redelivered after their ack wait

    async def __aenter__(self) -> Reader:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> Msg:
        return await self.next()

    @property
    def idle(self) -> bool:
        """True where every message that arrived has been read."""
        return not self._arrived

    @property
    def listening(self) -> bool:
        """True while the consumer is up, as far as is known: silence then means that the stream has no new message."""
        return self._bus.connected and not self._broken and self._generation == self._bus.generation

    async def _wait(self, seconds: float) -> bool:
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    def _take(self) -> Msg:
        msg = self._arrived.popleft()
        if self._ordered:
            self._last_stream_seq, self._newest = msg.metadata.sequence.stream, msg
            if time.monotonic() - self._remembered_at > REMEMBER_EVERY:
                self._remembered_at = time.monotonic()
                self._positions = remember(self._positions, StreamPosition.of(msg))
        return msg

    async def _reopen(self) -> None:
        """Open, in a task that outlives the caller's timeout: several short calls get there, too."""
        self._broken = True
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open(), name=f"open {self._stream}")
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        while True:
            if self._fruitless and self._generation == self._bus.generation:
                await self._backoff.wait()
            self._generation, self._fruitless = self._bus.generation, True
            try:
                await self._unsubscribe()
                if self._ordered:  # read again from behind the last one that the caller got
                    self._arrived.clear()  # a durable consumer's stay: the server redelivers them only after ack wait
                    await self._check_stream()
                info = await self._bus.js.add_consumer(self._stream, self._resumed())
                self._consumer = info.name
                self._last_consumer_seq = 0
                self._subscription = await self._bus.client.subscribe(
                    self._bus.client.new_inbox(), cb=self._on_message, pending_msgs_limit=-1, pending_bytes_limit=-1
                )
                self._broken, self._credit, self._heard = False, 0, time.monotonic()
                self._logged = False
            except (NatsError, TimeoutError, OSError) as error:
                if not self._logged:
                    reason = "its owner has not declared it yet" if isinstance(error, NotFoundError) else repr(error)
                    log.info("waiting for a stream", stream=self._stream, reason=reason)
                    self._logged = True
            else:
                return

    async def _check_stream(self) -> None:
        """Start from the beginning where the stream was created anew, as its numbers start from 1 again."""
        created = (await self._bus.js.stream_info(self._stream)).created
        if self._created is not None and created != self._created:
            self._begin_anew()
        self._created = created
        if self._newest is not None:
            self._positions, self._newest = remember(self._positions, StreamPosition.of(self._newest)), None
        if self._last_stream_seq and self._positions:
            await self._check_position(self._positions)

    async def _check_position(self, positions: tuple[StreamPosition, ...]) -> None:
        """Step back to the newest valid position: a power cut may lose the last messages, and their numbers are reused.

        Args:
            positions: the newest first.
        """
        valid = await newest_valid(self._bus, self._stream, positions)
        if valid is None:
            self._begin_anew()
        elif valid != positions[0]:
            self._last_stream_seq = min(self._last_stream_seq, valid.seq)
            self._positions = positions[positions.index(valid) :]
            log.warning(
                "the stream lost its last messages; reading on from before them",
                stream=self._stream,
                position=self._last_stream_seq,
                instead_of=positions[0].seq,
            )

    def _begin_anew(self) -> None:
        log.warning("the stream was made anew; reading it from its beginning", stream=self._stream)
        self._last_stream_seq, self._recreated = 0, True
        self._newest, self._positions = None, ()

    def _resumed(self) -> ConsumerConfig:
        if not self._ordered:
            return self._config
        config = replace(self._config, ack_policy=AckPolicy.NONE, mem_storage=True, inactive_threshold=UNUSED_CONSUMER)
        if config.deliver_policy is DeliverPolicy.LAST_PER_SUBJECT:
            return config
        if self._last_stream_seq:
            return replace(
                config,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._last_stream_seq + 1,
                opt_start_time=None,
            )
        if self._recreated:
            return replace(config, deliver_policy=DeliverPolicy.ALL, opt_start_seq=None, opt_start_time=None)
        return config

    async def _request(self) -> None:
        assert self._subscription is not None
        self._credit, self._heard = self._ahead - len(self._arrived), time.monotonic()
        request = {"batch": self._credit, "expires": int(EXPIRES * 1e9), "idle_heartbeat": int(HEARTBEAT * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        try:
            await self._bus.client.publish(subject, json.dumps(request).encode(), self._subscription.subject)
        except NatsError as error:
            self._break(repr(error))

    async def _on_message(self, msg: Msg) -> None:
        self._heard = time.monotonic()
        status = (msg.headers or {}).get("Status") if not msg.data else None
        if status in {None, "100", "404", "408"}:
            self._fruitless = False
            self._backoff.reset()
        if status is None:
            self._credit = max(0, self._credit - 1)
            if not self._ordered or self._in_order(msg):
                self._arrived.append(msg)
                if self._progress is not None:
                    self._progress.add(msg)
        elif status in {"404", "408"}:
            self._credit = 0
        elif status != "100":
            self._break((msg.headers or {}).get("Description", status))
        if status != "100":
            self._wake.set()

    def _in_order(self, msg: Msg) -> bool:
        if msg.metadata.consumer != self._consumer:
            return False  # from the previous consumer, in flight while the new one was created
        sequence = msg.metadata.sequence.consumer
        if sequence != self._last_consumer_seq + 1:
            self._break("messages were lost on the way")
            return False
        self._last_consumer_seq = sequence
        return True

    def _break(self, reason: str) -> None:
        if not self._broken:
            log.info("reading anew", stream=self._stream, consumer=self._consumer, reason=reason)
        self._broken = True
        self._wake.set()

    async def _unsubscribe(self) -> None:
        if self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            try:
                await subscription.unsubscribe()
            except NatsError:
                return  # the connection is gone, and the subscription with it
