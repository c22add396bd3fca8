"""A stream of numbers, which the tests of consumers share."""

from __future__ import annotations

import asyncio

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contracts.subjects import crossings
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.consumer import Consumer
from services.kit.nats.consumers.durable_consumer import DurableConsumer
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer

SUBJECT = crossings("live", "shop", "door")
FROM_THE_START = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
SHARED = ConsumerConfig(
    durable_name="shared", deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.EXPLICIT, ack_wait=30
)


async def publish(bus: Bus, numbers: range) -> None:
    for number in numbers:
        await bus.publish(SUBJECT, b"%d" % number, msg_id=f"live/{number}")


def number_of(msg: Msg) -> int:
    return int(msg.data)


async def read(consumer: Consumer, count: int) -> list[int]:
    """The next numbers; acked, where the consumer is a durable one."""
    numbers = []
    for _ in range(count):
        msg = await asyncio.wait_for(consumer.next(), 15)
        numbers.append(number_of(msg))
        if isinstance(consumer, DurableConsumer):
            await msg.ack()
    return numbers


def ordered(bus: Bus) -> Consumer:
    return OrderedConsumer(bus, "CROSSINGS", FROM_THE_START)


def durable(bus: Bus) -> Consumer:
    return DurableConsumer(bus, "CROSSINGS", SHARED)


def name_of(consumer: Consumer) -> str:
    """The name by which the server knows it."""
    assert consumer._pull is not None
    return consumer._pull._consumer


async def as_seen(value: bool) -> bool:
    return value
