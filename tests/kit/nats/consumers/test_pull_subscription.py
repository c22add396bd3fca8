"""The rules of one pull: it prefetches so far and no further, hears that the server lives, and stays broken."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from math import inf

import pytest
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from contracts.streams import Owner
from infra.local.processes.nats import NatsServer
from services.kit.nats.bus import Bus
from services.kit.nats.consumers import pull_subscription
from services.kit.nats.consumers.pull_subscription import PullSubscription
from services.kit.settings import ServiceSettings
from tests.kit.nats.consumers.numbers import as_seen, number_of, publish
from tests.support.broker import connected, eventually


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The owner of CROSSINGS."""
    async with connected(settings, Owner.TRACKER) as bus:
        yield bus


async def opened(
    bus: Bus, ahead: int = 8, arrived: deque[Msg] | None = None, accept: Callable[[Msg], bool] = lambda _: True
) -> PullSubscription:
    """A pull of a consumer made for it."""
    pull = PullSubscription(bus, "CROSSINGS", ahead, deque() if arrived is None else arrived, accept)
    await pull.open(await bus.js.add_consumer("CROSSINGS", ConsumerConfig(ack_policy=AckPolicy.NONE)))
    return pull


async def numbers(pull: PullSubscription, count: int) -> list[int]:
    return [number_of(msg) for _ in range(count) if (msg := await asyncio.wait_for(pull.next(), 10)) is not None]


class TestMessages:
    async def test_they_come_in_order_however_few_are_prefetched(self, bus: Bus) -> None:
        await publish(bus, range(20))
        pull = await opened(bus, ahead=3)

        assert await numbers(pull, 20) == list(range(20))
        await pull.close()

    async def test_no_more_are_prefetched_than_asked_for(self, bus: Bus) -> None:
        await publish(bus, range(20))
        arrived: deque[Msg] = deque()
        pull = await opened(bus, ahead=4, arrived=arrived)
        await pull.next()
        await eventually(lambda: as_seen(len(arrived) == 3))
        await bus.client.flush()

        assert len(arrived) == 3
        await pull.close()

    async def test_a_message_that_is_not_accepted_breaks_it(self, bus: Bus) -> None:
        await publish(bus, range(3))
        arrived: deque[Msg] = deque()
        pull = await opened(bus, arrived=arrived, accept=lambda msg: number_of(msg) < 2)

        assert await pull.next() is None
        assert [number_of(msg) for msg in arrived] == [0, 1]
        await pull.close()


class TestLife:
    async def test_a_silent_stream_does_not_break_it(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pull_subscription, "HEARTBEAT", 0.1)
        monkeypatch.setattr(pull_subscription, "SILENCE", 0.5)
        pull = await opened(bus)
        waiting = asyncio.create_task(pull.next())
        await asyncio.wait([waiting], timeout=1.2)
        assert pull.up
        assert pull.answered
        await publish(bus, range(1))

        assert number_of(await waiting or Msg(bus.client)) == 0
        await pull.close()

    async def test_a_silent_server_does(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pull_subscription, "SILENCE", 0.3)
        pull = await opened(bus)
        monkeypatch.setattr(pull, "_consumer", "another")  # nobody answers

        assert await asyncio.wait_for(pull.next(), 5) is None
        assert not pull.answered
        await pull.close()

    async def test_a_deleted_consumer_breaks_it(self, bus: Bus) -> None:
        pull = await opened(bus)
        waiting = asyncio.create_task(pull.next())
        await eventually(lambda: as_seen(pull._credit > 0))
        await bus.js.delete_consumer("CROSSINGS", pull._consumer)

        assert await asyncio.wait_for(waiting, 5) is None
        assert await pull.next() is None
        await pull.close()

    async def test_a_reconnect_ends_it_at_once(self, bus: Bus, nats_server: NatsServer) -> None:
        pull = await opened(bus)
        waiting = asyncio.create_task(pull.next())
        await asyncio.sleep(0)
        nats_server.kill()
        nats_server.start()

        assert await asyncio.wait_for(waiting, 10) is None
        await pull.close()

    async def test_closed_it_reads_nothing_more(self, bus: Bus) -> None:
        pull = await opened(bus)
        await pull.close()
        await pull.close()

        assert await pull.next() is None


class TestCaughtUp:
    async def test_it_is_so_from_the_opening_on_where_there_is_nothing(self, bus: Bus) -> None:
        began = time.monotonic()
        pull = await opened(bus)

        assert began < pull.caught_up_since < time.monotonic()
        await pull.close()
        assert pull.caught_up_since == inf

    async def test_the_server_says_at_the_opening_that_there_is_something(self, bus: Bus) -> None:
        await publish(bus, range(2))
        pull = await opened(bus)
        known = [pull.caught_up_since]
        for _ in range(2):
            await pull.next()
            known.append(pull.caught_up_since)

        assert known[:2] == [inf, inf]
        assert known[2] < inf
        await pull.close()

    async def test_messages_that_were_removed_are_not_waited_for_for_ever(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pull_subscription, "EXPIRES", 0.5)
        monkeypatch.setattr(pull_subscription, "HEARTBEAT", 0.1)
        await publish(bus, range(2))
        pull = await opened(bus)
        await bus.js.purge_stream("CROSSINGS")
        waiting = asyncio.create_task(pull.next())
        assert pull.caught_up_since == inf
        await eventually(lambda: as_seen(pull.caught_up_since < inf))

        waiting.cancel()
        await pull.close()
