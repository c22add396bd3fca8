"""In-progress acks (`+WPI`) for messages that are worked on for longer than the ack wait.

Messages that are not acked are redelivered after the consumer's ack wait, which is how the work of a crashed replica is
recovered. A slow replica sends in-progress acks, so that it is not taken for a crashed one and the ack wait can be
short.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from services.kit.tasks import cancel_and_wait

BEATS = 3
"""In-progress acks of a message in one ack wait."""


class AckProgress:
    """The messages of one reader that are not acked yet. Made on a running event loop.

    Args:
        ack_wait: of the consumer, in seconds.
        work_limit: seconds for which a message is held. Work that takes longer hangs: the message is redelivered.
    """

    def __init__(self, ack_wait: float, work_limit: float) -> None:
        self._pause, self._work_limit = ack_wait / BEATS, work_limit
        self._held: deque[tuple[float, Msg]] = deque()
        self._task = asyncio.create_task(self._beat(), name="in-progress acks")

    def add(self, msg: Msg) -> None:
        """Hold a message until it is acked."""
        self._held.append((time.monotonic(), msg))
        while self._held and self._held[0][1].is_acked:  # the oldest is mostly acked first, so the queue stays short
            self._held.popleft()

    async def end(self) -> None:
        """Let go of all messages."""
        await cancel_and_wait(self._task)
        self._held.clear()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            oldest = time.monotonic() - self._work_limit
            self._held = deque((since, msg) for since, msg in self._held if since > oldest and not msg.is_acked)
            for _, msg in list(self._held):
                try:
                    await msg.in_progress()
                except NatsError:
                    break  # no connection: the messages are redelivered
