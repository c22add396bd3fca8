"""Watching a key-value bucket: every key's present value first, then each change, through any outage."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from nats.js.api import ConsumerConfig, DeliverPolicy

from contracts.streams import Bucket
from services.kit.nats.bus import Bus
from services.kit.nats.consumer import Reader


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value; None says that it was deleted. `pending` values are still to come of the first reading."""

    key: str
    value: bytes | None
    pending: int


async def watch(bus: Bus, bucket: Bucket, pattern: str = ">") -> AsyncGenerator[Entry, None]:
    """The values of the keys that match, then their changes. After an outage, values may come again unchanged."""
    prefix = f"$KV.{bucket.name}."
    config = ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, filter_subject=prefix + pattern)
    async with Reader(bus, f"KV_{bucket.name}", config) as reader:
        async for msg in reader:
            deleted = (msg.headers or {}).get("KV-Operation") in {"DEL", "PURGE"}
            yield Entry(msg.subject.removeprefix(prefix), None if deleted else msg.data, msg.metadata.num_pending)
