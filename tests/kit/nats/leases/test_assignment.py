"""The rules of shares: every item is done by one replica, each does its part, and who goes hands over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from contracts.streams import Bucket, Owner
from infra.local.processes.nats import NatsServer
from services.kit.nats.bus import Bus
from services.kit.nats.leases.assignment import Assignment
from services.kit.nats.leases.lease import Lease
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, eventually

ITEMS = [str(number) for number in range(8)]


@dataclass
class Workshop:
    """Replicas, and who does which item at the moment."""

    bus: Bus
    bucket: Bucket
    doing: Counter[str] = field(default_factory=Counter)
    shared: dict[str, Assignment] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    begun: Counter[str] = field(default_factory=Counter)
    """The number of times that each item was taken up."""
    most: int = 0
    """Replicas that ever did the same item at once."""

    async def work(self, item: str, _: Lease) -> None:
        self.doing[item] += 1
        self.begun[item] += 1
        self.most = max(self.most, self.doing[item])
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # leaving takes a moment
            self.doing[item] -= 1

    def come(self, name: str, items: list[str] | None = None) -> Assignment:
        assignment = self.shared[name] = Assignment(self.bus, "shop", name, self.work, self.bucket)
        assignment.set_items(ITEMS if items is None else items)
        self.tasks[name] = asyncio.create_task(assignment.run())
        return assignment

    async def go(self, name: str) -> None:
        task = self.tasks.pop(name)
        del self.shared[name]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def die(self, name: str) -> None:
        """It does nothing any more, and hands nothing over."""
        assignment = self.shared.pop(name)
        assignment._leave = lambda item: asyncio.sleep(0)  # type: ignore[method-assign]  # the dead leave nothing
        self.tasks.pop(name).cancel()
        for item in assignment._held.values():
            item.task.cancel()

    def parts(self) -> list[int]:
        return sorted(len(assignment.held) for assignment in self.shared.values())

    async def until_all_is_done(self, parts: list[int]) -> None:
        async def look() -> bool:
            return self.parts() == parts and sum(self.doing.values()) == sum(parts)

        await eventually(look)


@asynccontextmanager
async def workshop(settings: ServiceSettings, ttl: float) -> AsyncIterator[Workshop]:
    bucket = Bucket("leases_of_a_test", Owner.TRACKER, ttl=ttl)
    async with connected(settings) as bus, AsyncExitStack() as stack:
        bus._buckets = (bucket,)
        await bus.declare()
        shop = Workshop(bus, bucket)
        yield shop
        for name in list(shop.shared):
            stack.push_async_callback(shop.go, name)
    assert not +shop.doing


@pytest.fixture
async def shop(settings: ServiceSettings) -> AsyncIterator[Workshop]:
    """Leases that live long: whatever is seen here does not wait for one to expire."""
    async with workshop(settings, ttl=100) as shop:
        yield shop


@pytest.fixture
async def hasty(settings: ServiceSettings) -> AsyncIterator[Workshop]:
    """Leases that live 0.8 s."""
    async with workshop(settings, ttl=0.8) as shop:
        yield shop


async def test_one_replica_does_everything(shop: Workshop) -> None:
    shop.come("one")

    await shop.until_all_is_done([8])


@pytest.mark.parametrize(("replicas", "parts"), [(2, [4, 4]), (3, [2, 3, 3]), (5, [1, 1, 2, 2, 2])])
async def test_replicas_have_equal_parts(shop: Workshop, replicas: int, parts: list[int]) -> None:
    for number in range(replicas):
        shop.come(f"replica-{number}")

    await shop.until_all_is_done(parts)
    assert shop.most == 1


async def test_who_has_nothing_to_do_stands_by(shop: Workshop) -> None:
    for number in range(3):
        shop.come(f"replica-{number}", items=["a"])

    await shop.until_all_is_done([0, 0, 1])


async def test_who_comes_later_is_given_its_part(shop: Workshop) -> None:
    shop.come("one")
    await shop.until_all_is_done([8])
    shop.come("two")

    await shop.until_all_is_done([4, 4])
    assert shop.most == 1


async def test_who_goes_hands_over_at_once(shop: Workshop) -> None:
    shop.come("one")
    shop.come("two")
    await shop.until_all_is_done([4, 4])
    await shop.go("one")

    await shop.until_all_is_done([8])
    assert shop.most == 1


async def test_replicas_that_come_and_go_together_end_with_equal_parts(shop: Workshop) -> None:
    shop.come("one")
    shop.come("two")
    await shop.until_all_is_done([4, 4])
    leaving = asyncio.create_task(shop.go("one"))
    shop.come("three")
    shop.come("four")
    await leaving
    await shop.until_all_is_done([2, 3, 3])
    await asyncio.gather(shop.go("two"), shop.go("four"))
    shop.come("five")

    await shop.until_all_is_done([4, 4])
    assert shop.most == 1


async def test_work_that_comes_and_goes_is_shared_out_anew(shop: Workshop) -> None:
    one, two = shop.come("one", items=["a"]), shop.come("two", items=["a"])
    await shop.until_all_is_done([0, 1])
    for assignment in (one, two):
        assignment.set_items(["a", "b", "c"])
    await shop.until_all_is_done([1, 2])
    for assignment in (one, two):
        assignment.set_items(["b"])

    await shop.until_all_is_done([0, 1])
    assert shop.doing["b"] == 1


@pytest.mark.parametrize("whose", ["one", "two"])
async def test_work_that_ends_moves_no_other(shop: Workshop, whose: str) -> None:
    shares = [shop.come(name, items=["a", "b", "c", "d"]) for name in ("one", "two")]
    await shop.until_all_is_done([2, 2])
    before = shop.begun.copy()
    left = {"a", "b", "c", "d"} - {min(shop.shared[whose].held)}
    for assignment in shares:
        assignment.set_items(left)
    await shop.until_all_is_done([1, 2])
    await asyncio.sleep(0.3)  # nobody does anything about it
    for assignment in shares:
        assignment.set_items({*left, "e"})
    await shop.until_all_is_done([2, 2])

    assert shop.begun - before == Counter("e")


async def test_who_died_and_came_back_under_its_name_goes_on_at_once(shop: Workshop) -> None:
    shop.come("one")
    await shop.until_all_is_done([8])
    shop.die("one")
    shop.come("one")

    await shop.until_all_is_done([8])


async def test_the_work_of_a_dead_one_is_done_by_others(hasty: Workshop) -> None:
    hasty.come("one")
    hasty.come("two")
    await hasty.until_all_is_done([4, 4])
    hasty.die("one")

    await hasty.until_all_is_done([8])


async def test_an_outage_of_the_broker_leaves_everybody_at_work(hasty: Workshop, nats_server: NatsServer) -> None:
    hasty.come("one")
    hasty.come("two")
    await hasty.until_all_is_done([4, 4])
    nats_server.kill()
    nats_server.start()

    async def renewed() -> bool:
        return all(item.lease.held for assignment in hasty.shared.values() for item in assignment._held.values())

    await eventually(renewed)
    await hasty.until_all_is_done([4, 4])


async def test_work_that_fails_ends_the_replica(shop: Workshop) -> None:
    async def fail(_item: str, _lease: Lease) -> None:
        raise ValueError("broken")

    assignment = Assignment(shop.bus, "other", "one", fail, shop.bucket)
    assignment.set_items(["a"])
    running = asyncio.create_task(assignment.run())
    await eventually(lambda: asyncio.sleep(0, bool(assignment.held)))
    assignment.set_items(["a", "b"])

    with pytest.raises(ExceptionGroup) as caught:
        await running
    assert caught.group_contains(ValueError, match="broken")
