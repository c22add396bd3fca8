"""The rules of reading in order: without a gap, whatever happens to the server, the stream and the consumer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from math import inf

import pytest
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from contracts.streams import CROSSINGS, Owner
from infra.local.processes.nats import NatsServer
from services.kit.nats.bus import Bus
from services.kit.nats.consumers import pull_subscription
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer
from services.kit.settings import ServiceSettings
from tests.kit.nats.consumers.numbers import FROM_THE_START, as_seen, name_of, number_of, publish, read
from tests.support.broker import connected, eventually


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The owner of CROSSINGS."""
    async with connected(settings, Owner.TRACKER) as bus:
        yield bus


async def test_messages_come_in_stream_order_and_then_as_they_are_published(bus: Bus) -> None:
    await publish(bus, range(600))

    async with OrderedConsumer(bus, "CROSSINGS", FROM_THE_START) as consumer:
        assert await read(consumer, 600) == list(range(600))
        await publish(bus, range(600, 603))
        assert await read(consumer, 3) == [600, 601, 602]


async def test_it_starts_where_it_is_told(bus: Bus) -> None:
    await publish(bus, range(10))
    config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=8)

    async with OrderedConsumer(bus, "CROSSINGS", config) as consumer:
        assert await read(consumer, 3) == [7, 8, 9]


async def test_a_kill_of_the_server_makes_no_gap_and_no_double(bus: Bus, nats_server: NatsServer) -> None:
    async with OrderedConsumer(bus, "CROSSINGS", FROM_THE_START, ahead=16) as consumer:
        publishing = asyncio.create_task(publish(bus, range(150)))
        before = await read(consumer, 40)
        nats_server.kill()
        nats_server.start()

        assert before + await read(consumer, 110) == list(range(150))
        await publishing


async def test_a_deleted_consumer_is_made_again_where_it_was(bus: Bus) -> None:
    await publish(bus, range(5))
    async with OrderedConsumer(bus, "CROSSINGS", FROM_THE_START) as consumer:
        assert await read(consumer, 3) == [0, 1, 2]
        await bus.js.delete_consumer("CROSSINGS", name_of(consumer))
        await publish(bus, range(5, 8))

        assert await read(consumer, 5) == [3, 4, 5, 6, 7]


async def test_a_stream_that_is_made_anew_is_read_from_its_beginning(bus: Bus) -> None:
    await publish(bus, range(5))
    async with OrderedConsumer(bus, "CROSSINGS", FROM_THE_START) as consumer:
        await read(consumer, 5)
        await bus.js.delete_stream(CROSSINGS.name)
        await bus.declare()
        await publish(bus, range(100, 103))

        assert await read(consumer, 3) == [100, 101, 102]


async def test_an_impatient_caller_gets_there_in_the_end(bus: Bus, nats_server: NatsServer) -> None:
    """The tracker asks for 20 ms at a time; opening a consumer may take longer, at first and after a restart."""
    await publish(bus, range(2))
    async with OrderedConsumer(bus, "CROSSINGS", FROM_THE_START, ahead=1) as consumer:
        assert number_of(await impatiently(consumer)) == 0
        nats_server.kill()
        nats_server.start()
        assert number_of(await impatiently(consumer)) == 1


async def test_an_impatient_caller_too_finds_out_that_a_request_was_lost(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_subscription, "SILENCE", 0.3)
    await publish(bus, range(1))
    lost: list[str] = []
    client = bus.client
    send: Callable[..., Awaitable[None]] = client.publish

    async def lose_one(subject: str, *args: object, **kwargs: object) -> None:
        if not lost and ".CONSUMER.MSG.NEXT." in subject:
            lost.append(subject)
        else:
            await send(subject, *args, **kwargs)

    async with OrderedConsumer(bus, "CROSSINGS", FROM_THE_START) as consumer:
        monkeypatch.setattr(client, "publish", lose_one)
        assert number_of(await impatiently(consumer, patience=0.02)) == 0
    assert len(lost) == 1


async def impatiently(consumer: OrderedConsumer, patience: float = 0.0005) -> Msg:
    for _ in range(5000):
        try:
            async with asyncio.timeout(patience):
                return await consumer.next()
        except TimeoutError:
            await asyncio.sleep(0.001)
    raise AssertionError("never got there")


async def test_a_gap_makes_it_read_again_from_behind_the_last_one_taken(bus: Bus) -> None:
    """A message that the connection lost is known by the number of the next one."""
    async with OrderedConsumer(bus, "CROSSINGS", FROM_THE_START) as consumer:
        await publish(bus, range(2))
        assert await read(consumer, 2) == [0, 1]
        name = name_of(consumer)
        consumer._delivered -= 1  # as if the next one had not come
        await publish(bus, range(2, 5))

        assert await read(consumer, 3) == [2, 3, 4]
        assert name_of(consumer) != name


class TestCaughtUp:
    async def test_it_is_not_while_a_message_has_not_been_taken(self, bus: Bus) -> None:
        await publish(bus, range(3))
        began = time.monotonic()
        async with OrderedConsumer(bus, "CROSSINGS", FROM_THE_START) as consumer:
            caught_up = [consumer.caught_up_since]
            for _ in range(3):
                await consumer.next()
                caught_up.append(consumer.caught_up_since)

        assert caught_up[:3] == [inf] * 3
        assert began < caught_up[3] < time.monotonic()
        assert consumer.caught_up_since == inf

    async def test_messages_that_come_and_are_taken_do_not_change_since_when(self, bus: Bus) -> None:
        async with OrderedConsumer(bus, "CROSSINGS", FROM_THE_START) as consumer:
            await publish(bus, range(1))
            await consumer.next()
            since = consumer.caught_up_since
            await publish(bus, range(1, 2))
            await consumer.next()

            assert consumer.caught_up_since == since < inf

    async def test_a_batch_that_was_not_waited_for_has_not_been_taken(self, bus: Bus) -> None:
        await publish(bus, range(1))
        async with OrderedConsumer(bus, "CROSSINGS", FROM_THE_START) as consumer:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await consumer.batch(2, linger=10)

            assert consumer.caught_up_since == inf

    async def test_an_outage_of_the_server_begins_it_anew(self, bus: Bus, nats_server: NatsServer) -> None:
        await publish(bus, range(1))
        async with OrderedConsumer(bus, "CROSSINGS", FROM_THE_START) as consumer:
            await consumer.next()
            reading = asyncio.create_task(consumer.next())
            assert consumer.caught_up_since < inf
            nats_server.kill()
            await eventually(lambda: as_seen(not bus.connected))
            assert consumer.caught_up_since == inf
            back = time.monotonic()
            nats_server.start()
            await eventually(lambda: as_seen(consumer.caught_up_since < inf))

            assert consumer.caught_up_since > back
            reading.cancel()
