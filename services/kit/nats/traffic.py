"""Metrics of a service's traffic on NATS, by a middleware of its broker.

- `metrica_bus_received_total`: messages that handlers got.
- `metrica_bus_handling_seconds`: the handling of a batch of them.
- `metrica_bus_published_total`: messages that were published, and stored where a stream keeps them.
- `metrica_bus_failed_total`: batches whose handler failed (`receive`), and messages that were not published (`send`).

The label `kind` is the kind of the subject (`detections`, `dlq`, `probe`), never the subject itself: subjects hold the
names of runs, stores and cameras. FastStream's own Prometheus middleware costs five times as much
(docs/decisions/091); it, or OpenTelemetry's, sees the same traffic once `bus.broker.add_middleware(...)` has added it.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from faststream import BaseMiddleware
from faststream.message import StreamMessage
from faststream.nats.response import NatsPublishCommand
from prometheus_client import Counter, Histogram

from contracts.subjects import kind_of

RECEIVED = Counter("metrica_bus_received_total", "Messages that handlers got", ["kind"])
HANDLING_SECONDS = Histogram("metrica_bus_handling_seconds", "Handling of a batch of messages", ["kind"])
PUBLISHED = Counter("metrica_bus_published_total", "Messages published", ["kind"])
FAILED = Counter("metrica_bus_failed_total", "Batches not handled, and messages not published", ["kind", "action"])


@cache
def _receiving(kind: str) -> tuple[Counter, Histogram, Counter]:
    return RECEIVED.labels(kind), HANDLING_SECONDS.labels(kind), FAILED.labels(kind, "receive")


@cache
def _sending(kind: str) -> tuple[Counter, Counter]:
    return PUBLISHED.labels(kind), FAILED.labels(kind, "send")


class TrafficMetrics(BaseMiddleware[NatsPublishCommand, Any]):
    """Counts and times what passes."""

    async def consume_scope(self, call_next: Any, msg: StreamMessage[Any]) -> Any:  # noqa: ANN401  # FastStream's
        """Measure a message, or a batch of messages of one kind, and its handler."""
        messages = msg.raw_message if isinstance(msg.raw_message, list) else [msg.raw_message]
        received, seconds, failed = _receiving(kind_of(messages[0].subject))
        received.inc(len(messages))
        began = time.perf_counter()
        try:
            return await call_next(msg)
        except Exception:  # whatever the handler raises: it is counted, and raised on
            failed.inc()
            raise
        finally:
            seconds.observe(time.perf_counter() - began)

    async def publish_scope(self, call_next: Any, cmd: NatsPublishCommand) -> Any:  # noqa: ANN401  # FastStream's
        """Measure a publication."""
        published, failed = _sending(kind_of(cmd.destination))
        try:
            result = await call_next(cmd)
        except Exception:  # the same of a publication
            failed.inc()
            raise
        published.inc()
        return result
