"""Holding messages that are worked on, however long that takes.

What is not answered within a consumer's ack wait goes to somebody else: that is how the work of the dead is found. So
that the slow are not taken for dead, and the ack wait can be short, they say now and then that they are at work.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from services.kit.tasks import cancel_and_wait

BEATS = 3
"""How often it is said in an ack wait."""


class Hold:
    """The messages that one reader got and that nobody has answered yet. Made on a running event loop.

    Args:
        ack_wait: of the consumer, in seconds.
        longest: seconds for which one message is held. Longer than that no work takes: somebody else may try.
    """

    def __init__(self, ack_wait: float, longest: float) -> None:
        self._pause, self._longest = ack_wait / BEATS, longest
        self._held: deque[tuple[float, Msg]] = deque()
        self._task = asyncio.create_task(self._beat(), name="hold messages")

    def add(self, msg: Msg) -> None:
        """Hold a message until it is answered."""
        self._held.append((time.monotonic(), msg))
        while self._held and self._held[0][1].is_acked:  # mostly the oldest: so few are kept, and not all that came
            self._held.popleft()

    async def end(self) -> None:
        """Let go of everything."""
        await cancel_and_wait(self._task)
        self._held.clear()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            since = time.monotonic() - self._longest
            self._held = deque(one for one in self._held if one[0] > since and not one[1].is_acked)
            for _, msg in list(self._held):
                try:
                    await msg.in_progress()
                except NatsError:
                    break  # no connection: what is lost with it comes again
