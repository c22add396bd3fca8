"""The rules of what a reader of a shared consumer has in hand: it is used or given back, never left to the ack wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.js.api import AckPolicy, ConsumerConfig

from contracts.streams import PATHS, Owner
from contracts.subjects import paths
from infra.local.processes.nats import NatsServer
from services.kit.nats.bus import Bus
from services.kit.nats.consumer import Reader
from services.kit.settings import ServiceSettings

SHARED = ConsumerConfig(durable_name="shared", ack_policy=AckPolicy.EXPLICIT, ack_wait=60)


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    bus = Bus(settings, "tracker", Owner.TRACKER)
    await bus.start()
    yield bus
    await bus.stop()


async def send(bus: Bus, *bodies: bytes) -> None:
    for body in bodies:
        await bus.publish(paths("live", "shop", "door"), body)


async def test_batch_that_was_cancelled_goes_to_another_reader_at_once(bus: Bus) -> None:
    await send(bus, b"1", b"2")
    async with Reader(bus, PATHS.name, SHARED) as reader:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await reader.batch(3, linger=60)

    async with Reader(bus, PATHS.name, SHARED) as other, asyncio.timeout(10):
        assert {(await other.next()).data, (await other.next()).data} == {b"1", b"2"}


async def test_messages_pulled_before_a_restart_are_handed_out_after_it(bus: Bus, nats_server: NatsServer) -> None:
    await send(bus, b"1", b"2", b"3")
    async with Reader(bus, PATHS.name, SHARED) as reader, asyncio.timeout(20):
        first = await reader.next()
        generation = bus.generation
        await asyncio.to_thread(nats_server.stop)  # killed, it may forget what it had handed out
        await asyncio.to_thread(nats_server.start)
        while bus.generation == generation:  # noqa: ASYNC110  # the bus counts reconnects and announces none
            await asyncio.sleep(0.01)

        found = [first, await reader.next(), await reader.next()]
        for msg in found:
            await msg.ack_sync(timeout=5)

        assert [msg.data for msg in found] == [b"1", b"2", b"3"]
        info = await bus.js.consumer_info(PATHS.name, "shared")
        assert (info.num_ack_pending, info.num_pending) == (0, 0)
