"""One open pull from a consumer: prefetched messages, an idle heartbeat, and the moment at which it breaks.

nats-py's own `fetch` waits for a full batch, FastStream's pull loop spins when a consumer is gone, and push consumers
take many seconds to notice a restarted server. This keeps one pull request open with an idle heartbeat: a silent server
or a lost consumer is noticed within three heartbeats. A broken pull stays broken: its consumer opens another one.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from math import inf

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import ConsumerInfo

from services.kit.logs import logger
from services.kit.nats.bus import Bus

HEARTBEAT = 1.0
SILENCE = 3 * HEARTBEAT
MOMENT = 0.01
"""Shortest wait in seconds, even for a consumer that counts as silent: this process may have been too busy to read."""
EXPIRES = 20.0

log = logger()


class PullSubscription:
    """Messages of one consumer, in the order of delivery, until it breaks.

    Args:
        bus: the connection.
        stream: its name.
        ahead: most messages that are prefetched.
        arrived: takes the prefetched messages, the oldest first. They stay there when the pull breaks.
        accept: is called with each message that arrives; False breaks the pull, as messages before it were lost.
    """

    def __init__(
        self, bus: Bus, stream: str, ahead: int, arrived: deque[Msg], accept: Callable[[Msg], bool] = lambda _: True
    ) -> None:
        self._bus, self._stream, self._ahead, self._arrived, self._accept = bus, stream, ahead, arrived, accept
        self._generation = bus.generation
        self._wake = asyncio.Event()
        self._subscription: Subscription | None = None
        self._end_callback: Callable[[], None] = lambda: None
        self._consumer = ""
        self._broken = True
        self._credit = 0
        self._opened = self._heard = 0.0
        self._pending = 0
        self._last: Msg | None = None
        """The last message that was taken."""
        self.answered = False
        """True once the server has answered a request: the consumer exists."""

    async def open(self, consumer: ConsumerInfo) -> None:
        """Begin to read from a consumer.

        Raises:
            nats.errors.Error, TimeoutError, OSError: the connection is gone.
        """
        self._consumer, self._pending = consumer.name, consumer.num_pending or 0
        self._subscription = await self._bus.client.subscribe(
            self._bus.client.new_inbox(), cb=self._on_message, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        self._end_callback = self._bus.on_reconnect(self._wake.set)
        self._broken, self._opened = False, time.monotonic()
        self._heard = self._opened

    async def close(self) -> None:
        """Stop reading."""
        self._broken = True
        self._end_callback()
        if self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            try:
                await subscription.unsubscribe()
            except NatsError:
                return  # the connection is gone, and the subscription with it

    @property
    def up(self) -> bool:
        """True until the pull breaks, or the connection is made anew."""
        return not self._broken and self._generation == self._bus.generation

    @property
    def caught_up_since(self) -> float:
        """The local time (monotonic, s) since which the consumer is known to have kept nothing from us.

        It is the time of opening; inf while a message has not been taken, or the consumer is not up, as far as is
        known.
        """
        pending = self._pending if self._last is None else self._last.metadata.num_pending
        return inf if pending or self._arrived or not (self.up and self._bus.connected) else self._opened

    async def next(self) -> Msg | None:
        """Wait for the next message; None where the pull is broken."""
        while self.up:
            if self._credit == 0 and len(self._arrived) <= self._ahead // 2:
                await self._request()
            if self._arrived:
                return self.take()
            # Only for the rest of SILENCE: a caller with a shorter timeout must find out after several calls, too.
            await self.wait(max(self._heard + SILENCE - time.monotonic(), MOMENT))
            if not self._arrived and time.monotonic() - self._heard > SILENCE:
                self._break("the consumer is silent")
        return None

    def take(self) -> Msg:
        """Take the oldest of the messages that have arrived."""
        self._last = self._arrived.popleft()
        return self._last

    async def wait(self, seconds: float) -> bool:
        """Wait until something happens: a message, a break; False where nothing does within the time."""
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

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
        self.answered = self.answered or status in {None, "100", "404", "408"}
        if status == "100":
            return
        if status is None:
            self._credit = max(0, self._credit - 1)
            if self._accept(msg):
                self._arrived.append(msg)
            else:
                self._break("messages were lost on the way")
        elif status in {"404", "408"}:  # the request is over: the consumer had no more for it
            self._credit, self._pending, self._last = 0, 0, None
        else:
            self._break((msg.headers or {}).get("Description", status))
        self._wake.set()

    def _break(self, reason: str) -> None:
        if not self._broken:
            log.info("reading anew", stream=self._stream, consumer=self._consumer, reason=reason)
        self._broken = True
        self._wake.set()
