"""The rules of every consumer: batches, and streams that are missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from contracts.streams import CROSSINGS, Owner
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.consumer import Consumer
from services.kit.settings import ServiceSettings
from tests.kit.nats.consumers.numbers import as_seen, durable, name_of, number_of, ordered, publish, read
from tests.support.broker import connected, eventually

Open = Callable[[Bus], Consumer]

either = pytest.mark.parametrize("open_", [ordered, durable])


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The owner of CROSSINGS."""
    async with connected(settings, Owner.TRACKER) as bus:
        yield bus


async def api_requests(bus: Bus) -> int:
    """The number of requests to the server's JetStream API, by anybody."""
    return (await bus.js.account_info()).api.total


class TestBatch:
    @either
    async def test_it_takes_what_is_there_and_waits_for_no_more(self, bus: Bus, open_: Open) -> None:
        await publish(bus, range(5))
        async with open_(bus) as consumer:
            batch = [number_of(await consumer.next())]
            await eventually(lambda: as_seen(len(consumer._arrived) == 4))
            async with asyncio.timeout(0.5):
                batch += [number_of(msg) for msg in await consumer.batch(100)]

        assert batch == [0, 1, 2, 3, 4]

    async def test_it_is_never_larger_than_asked_for(self, bus: Bus) -> None:
        await publish(bus, range(5))
        async with ordered(bus) as consumer:
            batches = [[number_of(msg) for msg in await consumer.batch(2, linger=0.2)] for _ in range(3)]

        assert batches == [[0, 1], [2, 3], [4]]

    async def test_it_lingers_for_more(self, bus: Bus) -> None:
        async with ordered(bus) as consumer:
            batch = asyncio.create_task(consumer.batch(2, linger=10))
            await publish(bus, range(2))

            assert [number_of(msg) for msg in await asyncio.wait_for(batch, 5)] == [0, 1]

    @either
    async def test_a_batch_that_was_not_waited_for_is_not_lost(self, bus: Bus, open_: Open) -> None:
        await publish(bus, range(2))
        async with open_(bus) as consumer:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await consumer.batch(3, linger=10)
            await publish(bus, range(2, 3))

            assert await read(consumer, 3) == [0, 1, 2]

    async def test_a_consumer_lost_while_it_lingers_holds_up_nothing(self, bus: Bus) -> None:
        await publish(bus, range(2))
        async with ordered(bus) as consumer:
            batch = asyncio.create_task(consumer.batch(3, linger=30))
            await eventually(lambda: as_seen(consumer._pull is not None and consumer._pull._credit == 254))
            await eventually(lambda: as_seen(not consumer._arrived))
            await bus.js.delete_consumer("CROSSINGS", name_of(consumer))

            assert [number_of(msg) for msg in await asyncio.wait_for(batch, 10)] == [0, 1]
            await publish(bus, range(2, 3))
            assert await read(consumer, 1) == [2]


class TestMissing:
    @either
    async def test_a_missing_stream_is_asked_for_seldom_and_read_when_it_comes(
        self, settings: ServiceSettings, open_: Open
    ) -> None:
        async with connected(settings) as bus, open_(bus) as consumer:
            before = await api_requests(bus)
            reading = asyncio.create_task(read(consumer, 1))
            await asyncio.wait([reading], timeout=1.5)

            assert await api_requests(bus) - before <= 8
            async with connected(settings, Owner.TRACKER) as owner:
                await publish(owner, range(1))
                assert await reading == [0]

    @either
    async def test_a_stream_that_disappears_under_a_consumer_makes_it_wait_not_spin(
        self, settings: ServiceSettings, open_: Open
    ) -> None:
        async with connected(settings) as bus, connected(settings, Owner.TRACKER) as owner:
            await publish(owner, range(1))
            async with open_(bus) as consumer:
                await read(consumer, 1)
                await owner.js.delete_stream(CROSSINGS.name)
                before = await api_requests(bus)
                reading = asyncio.create_task(read(consumer, 1))
                await asyncio.wait([reading], timeout=1.5)

                assert await api_requests(bus) - before <= 8
                await owner.declare()
                await publish(owner, range(100, 101))
                assert await reading == [100]
