"""The rules of reading: in order, without a gap, whatever happens to the server, the stream and the consumer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contracts.streams import CROSSINGS, Owner
from contracts.subjects import crossings
from infra.local.processes.nats import NatsServer
from services.kit.nats import consumer as reading
from services.kit.nats.bus import Bus
from services.kit.nats.consumer import Reader
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, eventually

SUBJECT = crossings("live", "shop", "door")
FROM_THE_START = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
SHARED = ConsumerConfig(
    durable_name="shared", deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.EXPLICIT, ack_wait=30
)


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The owner of CROSSINGS."""
    async with connected(settings, Owner.TRACKER) as bus:
        yield bus


async def publish(bus: Bus, numbers: range) -> None:
    for number in numbers:
        await bus.publish(SUBJECT, b"%d" % number, msg_id=f"live/{number}")


async def read(reader: Reader, count: int) -> list[int]:
    found = []
    for _ in range(count):
        msg = await asyncio.wait_for(reader.next(), 15)
        found.append(number_of(msg))
        if msg.reply and not reader._ordered:
            await msg.ack()
    return found


def number_of(msg: Msg) -> int:
    return int(msg.data)


async def api_requests(bus: Bus) -> int:
    """The number of requests to the server's JetStream API, by anybody."""
    return (await bus.js.account_info()).api.total


class TestOrdered:
    async def test_messages_come_in_stream_order_and_then_as_they_are_published(self, bus: Bus) -> None:
        await publish(bus, range(600))

        async with Reader(bus, "CROSSINGS", FROM_THE_START) as reader:
            assert await read(reader, 600) == list(range(600))
            await publish(bus, range(600, 603))
            assert await read(reader, 3) == [600, 601, 602]

    async def test_it_starts_where_it_is_told(self, bus: Bus) -> None:
        await publish(bus, range(10))
        config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=8)

        async with Reader(bus, "CROSSINGS", config) as reader:
            assert await read(reader, 3) == [7, 8, 9]

    async def test_a_kill_of_the_server_makes_no_gap_and_no_double(self, bus: Bus, nats_server: NatsServer) -> None:
        async with Reader(bus, "CROSSINGS", FROM_THE_START, ahead=16) as reader:
            publishing = asyncio.create_task(publish(bus, range(150)))
            before = await read(reader, 40)
            nats_server.kill()
            nats_server.start()

            assert before + await read(reader, 110) == list(range(150))
            await publishing

    async def test_a_deleted_consumer_is_made_again_where_it_was(self, bus: Bus) -> None:
        await publish(bus, range(5))
        async with Reader(bus, "CROSSINGS", FROM_THE_START) as reader:
            assert await read(reader, 3) == [0, 1, 2]
            await bus.js.delete_consumer("CROSSINGS", reader._consumer)
            await publish(bus, range(5, 8))

            assert await read(reader, 5) == [3, 4, 5, 6, 7]

    async def test_a_stream_that_is_made_anew_is_read_from_its_beginning(self, bus: Bus) -> None:
        await publish(bus, range(5))
        async with Reader(bus, "CROSSINGS", FROM_THE_START) as reader:
            await read(reader, 5)
            await bus.js.delete_stream(CROSSINGS.name)
            await bus.declare()
            await publish(bus, range(100, 103))

            assert await read(reader, 3) == [100, 101, 102]

    async def test_an_impatient_caller_gets_there_in_the_end(self, bus: Bus, nats_server: NatsServer) -> None:
        """The tracker asks for 20 ms at a time; opening a consumer may take longer, at first and after a restart."""
        await publish(bus, range(2))
        async with Reader(bus, "CROSSINGS", FROM_THE_START, ahead=1) as reader:
            assert number_of(await impatiently(reader)) == 0
            nats_server.kill()
            nats_server.start()
            assert number_of(await impatiently(reader)) == 1

    async def test_an_impatient_caller_too_finds_out_that_a_request_was_lost(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "SILENCE", 0.3)
        await publish(bus, range(1))
        lost: list[str] = []
        client = bus.client
        send: Callable[..., Awaitable[None]] = client.publish

        async def lose_one(subject: str, *args: object, **kwargs: object) -> None:
            if not lost and ".CONSUMER.MSG.NEXT." in subject:
                lost.append(subject)
            else:
                await send(subject, *args, **kwargs)

        async with Reader(bus, "CROSSINGS", FROM_THE_START) as reader:
            monkeypatch.setattr(client, "publish", lose_one)
            assert number_of(await impatiently(reader, patience=0.02)) == 0
        assert len(lost) == 1


async def impatiently(reader: Reader, patience: float = 0.0005) -> Msg:
    for _ in range(5000):
        try:
            async with asyncio.timeout(patience):
                return await reader.next()
        except TimeoutError:
            await asyncio.sleep(0.001)
    raise AssertionError("never got there")


class TestShared:
    async def test_two_readers_get_each_message_once(self, bus: Bus) -> None:
        await publish(bus, range(40))
        seen: dict[str, list[int]] = {"one": [], "other": []}

        async def work(name: str) -> None:
            async with Reader(bus, "CROSSINGS", SHARED, ahead=2) as reader:
                while True:
                    seen[name] += await read(reader, 1)

        workers = [asyncio.create_task(work(name)) for name in seen]
        await eventually(lambda: as_seen(len(seen["one"]) + len(seen["other"]) >= 40))
        for worker in workers:
            worker.cancel()

        assert sorted(seen["one"] + seen["other"]) == list(range(40))
        assert all(seen.values())

    async def test_a_deleted_consumer_is_made_again_and_everything_still_comes(self, bus: Bus) -> None:
        await publish(bus, range(5))
        async with Reader(bus, "CROSSINGS", SHARED) as reader:
            assert await read(reader, 2) == [0, 1]
            await bus.js.delete_consumer("CROSSINGS", "shared")
            await publish(bus, range(5, 8))

            seen = set()
            while 7 not in seen:
                seen |= set(await read(reader, 1))
            assert seen >= set(range(2, 8))

    async def test_a_kill_of_the_server_loses_none(self, bus: Bus, nats_server: NatsServer) -> None:
        config = ConsumerConfig(durable_name="shared", ack_policy=AckPolicy.EXPLICIT, ack_wait=2)
        async with Reader(bus, "CROSSINGS", config, ahead=4) as reader:
            publishing = asyncio.create_task(publish(bus, range(60)))
            seen = set(await read(reader, 20))
            nats_server.kill()
            nats_server.start()
            while len(seen) < 60:
                seen |= set(await read(reader, 1))
            await publishing

        assert seen == set(range(60))

    async def test_what_was_pulled_ahead_is_given_back_at_once(self, bus: Bus) -> None:
        """The ack wait is 30 s: nobody should have to wait for it after an orderly end."""
        await publish(bus, range(6))
        async with Reader(bus, "CROSSINGS", SHARED) as leaving:
            assert number_of(await leaving.next()) == 0
            await eventually(lambda: as_seen(len(leaving._arrived) == 5))

        async with Reader(bus, "CROSSINGS", SHARED) as staying:
            async with asyncio.timeout(5):
                assert sorted(await read(staying, 5)) == [1, 2, 3, 4, 5]

    async def test_closing_twice_does_no_harm(self, bus: Bus) -> None:
        async with Reader(bus, "CROSSINGS", SHARED) as reader:
            await reader.close()


class TestBatch:
    @pytest.mark.parametrize("config", [FROM_THE_START, SHARED], ids=["ordered", "shared"])
    async def test_it_takes_what_is_there_and_waits_for_no_more(self, bus: Bus, config: ConsumerConfig) -> None:
        await publish(bus, range(5))
        async with Reader(bus, "CROSSINGS", config) as reader:
            batch = [number_of(await reader.next())]
            await eventually(lambda: as_seen(len(reader._arrived) == 4))
            async with asyncio.timeout(0.5):
                batch += [number_of(msg) for msg in await reader.batch(100)]

        assert batch == [0, 1, 2, 3, 4]

    async def test_it_is_never_larger_than_asked_for(self, bus: Bus) -> None:
        await publish(bus, range(5))
        async with Reader(bus, "CROSSINGS", FROM_THE_START) as reader:
            batches = [[number_of(msg) for msg in await reader.batch(2, linger=0.2)] for _ in range(3)]

        assert batches == [[0, 1], [2, 3], [4]]

    async def test_it_lingers_for_more(self, bus: Bus) -> None:
        async with Reader(bus, "CROSSINGS", FROM_THE_START) as reader:
            batch = asyncio.create_task(reader.batch(2, linger=10))
            await publish(bus, range(2))

            assert [number_of(msg) for msg in await asyncio.wait_for(batch, 5)] == [0, 1]

    @pytest.mark.parametrize("config", [FROM_THE_START, SHARED], ids=["ordered", "shared"])
    async def test_a_batch_that_was_not_waited_for_is_not_lost(self, bus: Bus, config: ConsumerConfig) -> None:
        await publish(bus, range(2))
        async with Reader(bus, "CROSSINGS", config) as reader:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await reader.batch(3, linger=10)
            await publish(bus, range(2, 3))

            assert await read(reader, 3) == [0, 1, 2]

    async def test_a_consumer_lost_while_it_lingers_holds_up_nothing(self, bus: Bus) -> None:
        await publish(bus, range(2))
        async with Reader(bus, "CROSSINGS", FROM_THE_START) as reader:
            batch = asyncio.create_task(reader.batch(3, linger=30))
            await eventually(lambda: as_seen(reader._last_stream_seq == 2))
            await bus.js.delete_consumer("CROSSINGS", reader._consumer)

            assert [number_of(msg) for msg in await asyncio.wait_for(batch, 10)] == [0, 1]
            await publish(bus, range(2, 3))
            assert await read(reader, 1) == [2]


class TestMissing:
    @pytest.mark.parametrize("config", [FROM_THE_START, SHARED], ids=["ordered", "shared"])
    async def test_a_missing_stream_is_asked_for_seldom_and_read_when_it_comes(
        self, settings: ServiceSettings, config: ConsumerConfig
    ) -> None:
        async with connected(settings) as bus, Reader(bus, "CROSSINGS", config) as reader:
            before = await api_requests(bus)
            reading = asyncio.create_task(read(reader, 1))
            await asyncio.wait([reading], timeout=1.5)

            assert await api_requests(bus) - before <= 8
            async with connected(settings, Owner.TRACKER) as owner:
                await publish(owner, range(1))
                assert await reading == [0]

    @pytest.mark.parametrize("config", [FROM_THE_START, SHARED], ids=["ordered", "shared"])
    async def test_a_stream_that_disappears_under_a_reader_makes_it_wait_not_spin(
        self, settings: ServiceSettings, config: ConsumerConfig
    ) -> None:
        async with connected(settings) as bus, connected(settings, Owner.TRACKER) as owner:
            await publish(owner, range(1))
            async with Reader(bus, "CROSSINGS", config) as reader:
                await read(reader, 1)
                await owner.js.delete_stream(CROSSINGS.name)
                before = await api_requests(bus)
                reading = asyncio.create_task(read(reader, 1))
                await asyncio.wait([reading], timeout=1.5)

                assert await api_requests(bus) - before <= 8
                await owner.declare()
                await publish(owner, range(100, 101))
                assert await reading == [100]


async def as_seen(value: bool) -> bool:
    return value
