"""Detection of writes that JetStream does not do: the only sign of a full disk.

Once a write has failed for want of space, nats-server stores nothing more in that stream and does not answer either;
where its own limit is reached it refuses. Reading, stream info and the other streams go on working.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import PubAck
from nats.js.errors import ServiceUnavailableError

RECENT = 10.0
"""Seconds. Failed writes are retried within a few seconds. An older failure is no longer retried, and is dropped from
the report."""

STREAM_FULL = frozenset({10077, 10122})
"""Error codes of a discard-new stream at its limit of messages, bytes, or messages per subject. That is backpressure:
the publisher waits for the readers, and the disk is not the cause."""


class PublishHealth:
    """Remembers the subjects on which JetStream stores nothing."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[float, str]] = {}

    @property
    def problem(self) -> str | None:
        """A subject that is not stored now, and the remedy, in one line; None where all are stored."""
        now = time.monotonic()
        self._failed = {subject: failed for subject, failed in self._failed.items() if now - failed[0] < RECENT}
        for subject, (_, reason) in self._failed.items():
            return (
                f"JetStream does not store {subject} ({reason}): its disk may be full. Free some space; where it still "
                "stores nothing then, start nats-server anew. Counting goes on by itself from where it was."
            )
        return None

    def watch(self, js: JetStreamContext) -> None:
        """Observe every publish of a connection, including the writes to its buckets."""
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
