"""Reading a stream: messages as they come, pulled ahead by a bounded number, through any outage.

nats-py's own `fetch` waits for a full batch, FastStream's pull loop spins when a consumer is gone, and push consumers
take many seconds to notice a restarted server. This reader keeps one pull request open with an idle heartbeat: a silent
server or a lost consumer is noticed within three heartbeats, and the consumer is made again, with growing delays.
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
from services.kit.nats.ack_progress import Hold
from services.kit.nats.bus import Backoff, Bus
from services.kit.nats.stream_position import Place, newest_that_holds, remember
from services.kit.tasks import cancel_and_wait

HEARTBEAT = 1.0
SILENCE = 3 * HEARTBEAT
REMEMBER_EVERY = 1.0
"""Seconds between places that a reader of its own remembers, besides the last one."""
MOMENT = 0.01
"""Seconds that a silent consumer is given even so: what it sent may lie unread because this process was busy."""
EXPIRES = 20.0
ACK_WAIT = 30.0
"""The server's own, where a consumer says nothing."""
UNUSED_CONSUMER = 60.0
"""A reader's own (ephemeral) consumer goes away by itself this many seconds after its reader."""

log = logger()


class Reader:
    """The messages of one consumer, in the order of delivery.

    With a durable `config`, replicas share the consumer and messages are acknowledged by whoever handles them. Without,
    the reader has a consumer of its own, acknowledges nothing, sees every message in stream order, and goes on behind
    the last one it saw after an outage.

    Args:
        bus: the connection.
        stream: its name.
        config: the consumer's.
        ahead: messages that are pulled ahead, at most.
        hold: seconds for which a message that is not answered yet is kept from others, beyond the ack wait.
    """

    def __init__(
        self, bus: Bus, stream: str, config: ConsumerConfig, *, ahead: int = 256, hold: float | None = None
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
        self._told = False
        self._generation = -1
        self._opening: asyncio.Task[None] | None = None
        self._backoff = Backoff()
        self._fruitless = False
        """Whether nothing was heard since the last try to open."""
        self._last_stream_seq = 0
        self._newest: Msg | None = None
        self._places: tuple[Place, ...] = ()
        self._remembered_at = 0.0
        self._last_consumer_seq = 0
        self._made: datetime | None = None
        self._made_anew = False
        self._forget = bus.on_reconnect(self._wake.set)
        self._hold = Hold(config.ack_wait or ACK_WAIT, hold) if hold else None

    async def next(self) -> Msg:
        """The next message; waits for it."""
        while True:
            if self._broken or self._generation != self._bus.generation:
                await self._reopen()
            if self._credit == 0 and len(self._arrived) <= self._ahead // 2:
                await self._request()
            if self._arrived:
                return self._take()
            # Not for all of SILENCE: a caller with less patience would come back for ever and never find out.
            await self._wait(max(self._heard + SILENCE - time.monotonic(), MOMENT))
            if not self._arrived and time.monotonic() - self._heard > SILENCE:
                self._break("the consumer is silent")

    async def batch(self, most: int, *, linger: float = 0.0) -> list[Msg]:
        """At least one message, and what else is there by then: at most `most`, lingering for more up to `linger` s."""
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
            self._arrived.extendleft(reversed(msgs))  # nobody has them: `close` gives them back
            self._last_stream_seq = before
            raise
        return msgs

    async def close(self) -> None:
        """Stop reading. Messages that were pulled ahead and not handled come back to others after their ack wait."""
        self._forget()
        if self._opening is not None:
            await cancel_and_wait(self._opening)
        await self._unsubscribe()
        if self._hold is not None:
            await self._hold.end()
        given_back = [] if self._ordered else list(self._arrived)
        self._arrived.clear()
        for msg in given_back:
            try:
                await msg.nak()
            except NatsError:
                break  # no connection: the ack wait gives them back

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
        """Whether nothing has arrived that was not read."""
        return not self._arrived

    @property
    def listening(self) -> bool:
        """Whether the consumer is there, as far as is known: silence then means that there is nothing to read."""
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
                self._places = remember(self._places, Place.of(msg))
        return msg

    async def _reopen(self) -> None:
        """Open; goes on where the caller's patience ends sooner, so that impatient callers get there, too."""
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
                if self._ordered:  # read again from the last one handed out
                    self._arrived.clear()  # a shared consumer's stay: the server would keep them for the ack wait
                    await self._recognise_stream()
                info = await self._bus.js.add_consumer(self._stream, self._resumed())
                self._consumer = info.name
                self._last_consumer_seq = 0
                self._subscription = await self._bus.client.subscribe(
                    self._bus.client.new_inbox(), cb=self._on_message, pending_msgs_limit=-1, pending_bytes_limit=-1
                )
                self._broken, self._credit, self._heard = False, 0, time.monotonic()
                self._told = False
            except (NatsError, TimeoutError, OSError) as error:
                if not self._told:
                    reason = "its owner has not declared it yet" if isinstance(error, NotFoundError) else repr(error)
                    log.info("waiting for a stream", stream=self._stream, reason=reason)
                    self._told = True
            else:
                return

    async def _recognise_stream(self) -> None:
        """A stream that was made anew counts from 1 again: it is read from its beginning."""
        made = (await self._bus.js.stream_info(self._stream)).created
        if self._made is not None and made != self._made:
            self._begin_anew()
        self._made = made
        if self._newest is not None:
            self._places, self._newest = remember(self._places, Place.of(self._newest)), None
        if self._last_stream_seq and self._places:
            await self._recognise_place(self._places)

    async def _recognise_place(self, places: tuple[Place, ...]) -> None:
        """A server whose power was cut may lack the last messages, and have given their numbers to others."""
        holds = await newest_that_holds(self._bus, self._stream, places)
        if holds is None:
            self._begin_anew()
        elif holds != places[0]:
            self._last_stream_seq = min(self._last_stream_seq, holds.seq)
            self._places = places[places.index(holds) :]
            log.warning(
                "the stream lost its last messages; reading on from before them",
                stream=self._stream,
                position=self._last_stream_seq,
                instead_of=places[0].seq,
            )

    def _begin_anew(self) -> None:
        log.warning("the stream was made anew; reading it from its beginning", stream=self._stream)
        self._last_stream_seq, self._made_anew = 0, True
        self._newest, self._places = None, ()

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
        if self._made_anew:
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
                if self._hold is not None:
                    self._hold.add(msg)
        elif status in {"404", "408"}:
            self._credit = 0
        elif status != "100":
            self._break((msg.headers or {}).get("Description", status))
        if status != "100":
            self._wake.set()

    def _in_order(self, msg: Msg) -> bool:
        if msg.metadata.consumer != self._consumer:
            return False  # of the consumer before, on its way while a new one was made
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
