"""Watching a key-value bucket: every key's current value first, then each change, through any outage."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from nats.js.api import ConsumerConfig, DeliverPolicy

from contracts.streams import Bucket
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer


@dataclass(frozen=True, slots=True)
class KeyValueEntry:
    """A key and its value; None where it was deleted."""

    key: str
    value: bytes | None


async def watch(bus: Bus, bucket: Bucket, pattern: str = ">") -> AsyncGenerator[KeyValueEntry, None]:
    """Yield the values of the keys that match, then their changes. After an outage, unchanged values may be repeated.

    Args:
        bus: the connection.
        bucket: to watch.
        pattern: of keys, with NATS's wildcards.
    """
    prefix = f"$KV.{bucket.name}."
    config = ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, filter_subject=prefix + pattern)
    async with OrderedConsumer(bus, f"KV_{bucket.name}", config) as consumer:
        async for msg in consumer:
            deleted = (msg.headers or {}).get("KV-Operation") in {"DEL", "PURGE"}
            yield KeyValueEntry(msg.subject.removeprefix(prefix), None if deleted else msg.data)
