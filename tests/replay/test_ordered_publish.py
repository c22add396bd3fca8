"""The rules of appending: in order, each message once, whatever happens to the broker meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.js.api import ConsumerConfig

from contracts.streams import run_streams
from infra.local.processes.nats import NatsServer
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer
from services.kit.settings import ServiceSettings
from services.replay.errors import RunError
from services.replay.ordered_publish import WINDOW, OrderedPublisher
from tests.support.broker import connected, eventually

STREAM = run_streams("night").paths
SUBJECT = "metrica.night.paths.shop.door"
COUNT = 3 * WINDOW


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """A connection to a server with the stream."""
    async with connected(settings) as bus:
        await bus.make(STREAM)
        yield bus


async def append(publisher: OrderedPublisher, first: int = 0) -> None:
    for number in range(first, COUNT):
        await publisher.publish(SUBJECT, b"%d" % number, {"Number": str(number)})
        if number % 64 == 0:
            await asyncio.sleep(0)
    await publisher.flush()


async def bodies(bus: Bus) -> list[bytes]:
    """The messages of the stream."""
    messages = (await bus.js.stream_info(STREAM.name)).state.messages
    async with OrderedConsumer(bus, STREAM.name, ConsumerConfig()) as consumer:
        return [(await consumer.next()).data for _ in range(messages)]


async def test_all_is_stored_in_order(bus: Bus) -> None:
    await append(OrderedPublisher(bus, STREAM))

    assert await bodies(bus) == [b"%d" % number for number in range(COUNT)]


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_a_broker_that_goes_and_comes_back_loses_doubles_and_swaps_nothing(
    bus: Bus, nats_server: NatsServer, how: str
) -> None:
    appending = asyncio.create_task(append(OrderedPublisher(bus, STREAM)))

    async def a_third() -> bool:
        return (await bus.js.stream_info(STREAM.name)).state.messages > COUNT // 3

    await eventually(a_third)
    await asyncio.to_thread(getattr(nats_server, how))
    await asyncio.to_thread(nats_server.start)
    await asyncio.wait_for(appending, 60)

    assert await bodies(bus) == [b"%d" % number for number in range(COUNT)]


async def test_a_stream_that_is_gone_ends_it(bus: Bus) -> None:
    publisher = OrderedPublisher(bus, STREAM)
    await publisher.publish(SUBJECT, b"0", {})
    await publisher.flush()
    await bus.remove(STREAM)

    with pytest.raises(RunError, match="the run was dropped while it was fed"):
        await append(publisher, 1)
