"""Reading a stream: messages as they arrive, through any outage.

A `DurableConsumer` shares its messages with other replicas, an `OrderedConsumer` reads alone and in order. Both are
this: one pull after the other, the next one opened as soon as the last one breaks, with growing delays where that
brings nothing.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Self

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.pull_subscription import PullSubscription
from services.kit.retry import Backoff, stay_cancelled
from services.kit.tasks import cancel_and_wait

log = logger()


class Consumer(ABC):
    """The messages of one consumer, in the order of delivery.

    Args:
        bus: the connection.
        stream: its name.
        config: the consumer's.
        ahead: most messages that are prefetched.
    """

    def __init__(self, bus: Bus, stream: str, config: ConsumerConfig, *, ahead: int = 256) -> None:
        self._bus, self._stream, self._config, self._ahead = bus, stream, config, ahead
        self._arrived: deque[Msg] = deque()
        self._pull: PullSubscription | None = None
        self._opening: asyncio.Task[None] | None = None
        self._backoff = Backoff()
        self._tried: int | None = None
        """The bus's generation at the last try to open, while that has brought nothing."""

    async def next(self) -> Msg:
        """Wait for the next message."""
        while True:
            pull = self._pull
            if pull is None or not pull.up:
                await self._reopen()
            elif (msg := await pull.next()) is not None:
                self._taken(msg)
                return msg

    async def batch(self, most: int, *, linger: float = 0.0) -> list[Msg]:
        """Wait for at least one message, and take the others that have arrived by then.

        Args:
            most: messages to return at most.
            linger: seconds to wait for more after the first one.
        """
        stay_cancelled()
        msgs = [await self.next()]
        deadline = time.monotonic() + linger
        try:
            while len(msgs) < most and self._pull is not None and self._pull.up:
                if self._arrived:
                    msgs.append(self._pull.take())
                    self._taken(msgs[-1])
                elif (left := deadline - time.monotonic()) <= 0 or not await self._pull.wait(left):
                    break
        except asyncio.CancelledError:
            self._arrived.extendleft(reversed(msgs))  # the caller does not get them
            raise
        return msgs

    async def close(self) -> None:
        """Stop reading."""
        if self._opening is not None:
            await cancel_and_wait(self._opening)
        if self._pull is not None:
            await self._pull.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Msg:
        return await self.next()

    @abstractmethod
    async def _prepare(self) -> ConsumerConfig:
        """Get ready for another pull. Returns the configuration of the consumer that it reads from."""

    @abstractmethod
    def _accept(self, msg: Msg) -> bool:
        """Take note of a message that arrived; False where messages before it were lost."""

    @abstractmethod
    def _taken(self, msg: Msg) -> None:
        """Take note of a message that the caller gets."""

    async def _reopen(self) -> None:
        """Open, in a task that outlives the caller's timeout: several short calls get there, too."""
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open(), name=f"open {self._stream}")
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        if self._pull is not None and self._pull.answered:
            self._tried = None
            self._backoff.reset()
        logged = False
        while True:
            if self._tried == self._bus.generation:
                await self._backoff.wait()
            self._tried = self._bus.generation
            try:
                if self._pull is not None:
                    await self._pull.close()
                self._pull = PullSubscription(self._bus, self._stream, self._ahead, self._arrived, self._accept)
                await self._pull.open(await self._bus.js.add_consumer(self._stream, await self._prepare()))
            except (NatsError, TimeoutError, OSError) as error:
                if not logged:
                    reason = "its owner has not declared it yet" if isinstance(error, NotFoundError) else repr(error)
                    log.info("waiting for a stream", stream=self._stream, reason=reason)
                    logged = True
            else:
                return
