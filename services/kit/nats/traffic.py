"""Metrics of a service's traffic on NATS, by FastStream's Prometheus middleware.

They are `metrica_bus_received_*` and `metrica_bus_published_*`: messages, bytes, seconds and errors. `handler` and
`destination` are the kind of the subject (`detections`, `dlq`, `probe`), never the subject itself: subjects hold the
names of runs, stores and cameras, and would give a time series for each.

OpenTelemetry's middleware sees the same traffic once somebody adds it: `bus.broker.add_middleware(...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from faststream.message import StreamMessage
from faststream.nats.response import NatsPublishCommand
from faststream.prometheus import ConsumeAttrs, PrometheusMiddleware
from nats.aio.msg import Msg
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from contracts.streams import Owner
from contracts.subjects import kind_of

Traffic = Msg | Sequence[Msg]


class _Labels:
    """Reads a message's kind, size and number for the middleware."""

    messaging_system = "nats"

    def get_consume_attrs_from_message(self, msg: StreamMessage[Traffic]) -> ConsumeAttrs:
        raw = msg.raw_message
        messages = [raw] if isinstance(raw, Msg) else raw
        return {
            "destination_name": kind_of(messages[0].subject),
            "message_size": sum([len(each.data) for each in messages]),
            "messages_count": len(messages),
        }

    def get_publish_destination_name_from_cmd(self, cmd: NatsPublishCommand) -> str:
        return kind_of(cmd.destination)


class _Remembering:
    """A metric that remembers its children: looking one up by its labels takes ten times as long as counting."""

    def __init__(self, metric: MetricWrapperBase) -> None:
        self.labels = lru_cache(maxsize=None)(metric.labels)


_LABELS = _Labels()


def traffic_metrics(
    service: Owner, registry: CollectorRegistry = REGISTRY
) -> PrometheusMiddleware[Traffic, NatsPublishCommand]:
    """Make the middleware that measures a service's traffic; sizes are those of whole batches, in bytes."""
    middleware: PrometheusMiddleware[Traffic, NatsPublishCommand] = PrometheusMiddleware(
        settings_provider_factory=lambda _: _LABELS,
        registry=registry,
        app_name=service.value,
        metrics_prefix="metrica_bus",
    )
    metrics = middleware._metrics_container  # noqa: SLF001  # guarded by tests/kit/nats/test_subscribers.py
    for name in metrics.__slots__:
        if isinstance(metric := getattr(metrics, name), MetricWrapperBase):
            setattr(metrics, name, _Remembering(metric))
    return middleware
