"""The rules of reading together: each message goes to one replica, and is used or given back at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.js.api import AckPolicy, ConsumerConfig

from contracts.streams import Owner
from infra.local.processes.nats import NatsServer
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.durable_consumer import DurableConsumer
from services.kit.settings import ServiceSettings
from tests.kit.nats.consumers.numbers import SHARED, as_seen, number_of, publish, read
from tests.support.broker import connected, eventually


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The owner of CROSSINGS."""
    async with connected(settings, Owner.TRACKER) as bus:
        yield bus


async def test_two_consumers_get_each_message_once(bus: Bus) -> None:
    await publish(bus, range(40))
    seen: dict[str, list[int]] = {"one": [], "other": []}

    async def work(name: str) -> None:
        async with DurableConsumer(bus, "CROSSINGS", SHARED, ahead=2) as consumer:
            while True:
                seen[name] += await read(consumer, 1)

    workers = [asyncio.create_task(work(name)) for name in seen]
    await eventually(lambda: as_seen(len(seen["one"]) + len(seen["other"]) >= 40))
    for worker in workers:
        worker.cancel()

    assert sorted(seen["one"] + seen["other"]) == list(range(40))
    assert all(seen.values())


async def test_a_deleted_consumer_is_made_again_and_everything_still_comes(bus: Bus) -> None:
    await publish(bus, range(5))
    async with DurableConsumer(bus, "CROSSINGS", SHARED) as consumer:
        assert await read(consumer, 2) == [0, 1]
        await bus.js.delete_consumer("CROSSINGS", "shared")
        await publish(bus, range(5, 8))

        seen = set()
        while 7 not in seen:
            seen |= set(await read(consumer, 1))
        assert seen >= set(range(2, 8))


async def test_a_kill_of_the_server_loses_none(bus: Bus, nats_server: NatsServer) -> None:
    config = ConsumerConfig(durable_name="shared", ack_policy=AckPolicy.EXPLICIT, ack_wait=2)
    async with DurableConsumer(bus, "CROSSINGS", config, ahead=4) as consumer:
        publishing = asyncio.create_task(publish(bus, range(60)))
        seen = set(await read(consumer, 20))
        nats_server.kill()
        nats_server.start()
        while len(seen) < 60:
            seen |= set(await read(consumer, 1))
        await publishing

    assert seen == set(range(60))


async def test_what_was_pulled_ahead_is_given_back_at_once(bus: Bus) -> None:
    """The ack wait is 30 s: nobody should have to wait for it after an orderly end."""
    await publish(bus, range(6))
    async with DurableConsumer(bus, "CROSSINGS", SHARED) as leaving:
        assert number_of(await leaving.next()) == 0
        await eventually(lambda: as_seen(len(leaving._arrived) == 5))

    async with DurableConsumer(bus, "CROSSINGS", SHARED) as staying:
        async with asyncio.timeout(5):
            assert sorted(await read(staying, 5)) == [1, 2, 3, 4, 5]


async def test_closing_twice_does_no_harm(bus: Bus) -> None:
    async with DurableConsumer(bus, "CROSSINGS", SHARED) as consumer:
        await consumer.close()


async def test_a_batch_that_was_cancelled_goes_to_another_replica_at_once(bus: Bus) -> None:
    await publish(bus, range(2))
    async with DurableConsumer(bus, "CROSSINGS", SHARED) as consumer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await consumer.batch(3, linger=60)

    async with DurableConsumer(bus, "CROSSINGS", SHARED) as other, asyncio.timeout(10):
        assert {number_of(await other.next()), number_of(await other.next())} == {0, 1}


async def test_messages_pulled_before_a_restart_are_handed_out_after_it(bus: Bus, nats_server: NatsServer) -> None:
    await publish(bus, range(3))
    async with DurableConsumer(bus, "CROSSINGS", SHARED) as consumer, asyncio.timeout(20):
        first = await consumer.next()
        generation = bus.generation
        await asyncio.to_thread(nats_server.stop)  # killed, it may forget what it had handed out
        await asyncio.to_thread(nats_server.start)
        await eventually(lambda: as_seen(bus.generation > generation))

        msgs = [first, await consumer.next(), await consumer.next()]
        for msg in msgs:
            await msg.ack_sync(timeout=5)

        assert [number_of(msg) for msg in msgs] == [0, 1, 2]
        info = await bus.js.consumer_info("CROSSINGS", "shared")
        assert (info.num_ack_pending, info.num_pending) == (0, 0)


async def test_a_slow_message_is_not_redelivered_while_it_is_worked_on(bus: Bus) -> None:
    await publish(bus, range(1))
    config = ConsumerConfig(durable_name="shared", ack_policy=AckPolicy.EXPLICIT, ack_wait=0.5)
    async with DurableConsumer(bus, "CROSSINGS", config, work_limit=60) as consumer:
        slow = await consumer.next()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await consumer.next()
        await slow.ack_sync(timeout=5)


async def test_it_is_idle_until_something_is_prefetched(bus: Bus) -> None:
    async with DurableConsumer(bus, "CROSSINGS", SHARED) as consumer:
        assert consumer.idle
        await publish(bus, range(2))
        await consumer.next()
        await eventually(lambda: as_seen(not consumer.idle))
        await consumer.next()
        assert consumer.idle
