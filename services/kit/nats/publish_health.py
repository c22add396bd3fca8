"""Writes that JetStream does not do: how a full disk shows, where all else looks well.

Once a write has failed for want of space, nats-server stores nothing more in that stream and answers nothing either;
where its own limit is reached it refuses. Reading, asking for a stream and the other streams go on.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import PubAck
from nats.js.errors import ServiceUnavailableError

RECENT = 10.0
"""Seconds. What is not stored is tried again within a few of them; what nobody tries any more is nobody's trouble."""

STREAM_FULL = frozenset({10077, 10122})
"""What a discard-new stream answers that has its fill of messages, bytes, or messages per subject: whoever publishes
waits for those who read, and the disk has nothing to do with it."""


class Writes:
    """Remembers which subjects JetStream takes nothing on."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[float, str]] = {}

    @property
    def problem(self) -> str | None:
        """What is not stored now, and what to do, in one line; None where all is."""
        now = time.monotonic()
        self._failed = {subject: failed for subject, failed in self._failed.items() if now - failed[0] < RECENT}
        for subject, (_, reason) in self._failed.items():
            return (
                f"JetStream does not store {subject} ({reason}): its disk may be full. Free some space; where it still "
                "stores nothing then, start nats-server anew. Counting goes on by itself from where it was."
            )
        return None

    def watch(self, js: JetStreamContext) -> None:
        """Look at every publish of a connection, those of its buckets among them."""
        publish: Callable[..., Awaitable[PubAck]] = js.publish

        async def watched(subject: str, *args: object, **kwargs: object) -> PubAck:
            try:
                acknowledged = await publish(subject, *args, **kwargs)
            except (NatsTimeout, ServiceUnavailableError) as error:
                if getattr(error, "err_code", None) in STREAM_FULL:
                    self._failed.pop(subject, None)
                else:
                    self._failed[subject] = time.monotonic(), str(error)
                raise
            self._failed.pop(subject, None)
            return acknowledged

        js.publish = watched  # type: ignore[method-assign]  # of this connection
