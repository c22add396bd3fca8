"""The rules of pools: a model is at work exactly while a camera asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest

from contracts.spec import CameraSpec, current_key
from contracts.streams import CAMERAS, Owner
from services.detector.pools import Demand, run_pools
from services.kit.nats.bus import Bus
from services.kit.nats.runs import Runs
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, eventually


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The owner of the configuration."""
    async with connected(settings, Owner.API) as bus:
        yield bus


class Work:
    """The models that run, by pool, now and ever."""

    def __init__(self) -> None:
        self.running: dict[str, str] = {}
        self.begun: list[str] = []

    async def __call__(self, pool: str, model: str) -> None:
        self.running[pool] = model
        self.begun.append(pool)
        try:
            if pool == "broken":
                raise RuntimeError("broken beyond repair")
            await asyncio.Event().wait()
        finally:
            del self.running[pool]


@asynccontextmanager
async def following(bus: Bus, work: Work, only: Collection[str] = ()) -> AsyncIterator[Demand]:
    demand = Demand(Runs())
    tasks = [asyncio.create_task(demand.follow(bus)), asyncio.create_task(run_pools(demand, only, work))]
    try:
        yield demand
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def configure(bus: Bus, camera: str, model: str, revision: int = 1) -> None:
    spec = CameraSpec(store="shop", camera=camera, model=model, revision=revision)
    await (await bus.bucket(CAMERAS)).put(current_key(camera), spec.model_dump_json().encode())


async def at_work(work: Work, **pools: str) -> bool:
    return {name.replace("_", "-"): model for name, model in pools.items()} == work.running


async def test_each_model_that_is_asked_for_is_at_work_once(bus: Bus) -> None:
    work = Work()
    await configure(bus, "a", "YOLO 26n")
    await configure(bus, "b", "motion")
    await configure(bus, "c", "motion")

    async with following(bus, work) as demand:
        await eventually(lambda: at_work(work, yolo_26n="YOLO 26n", motion="motion"))
        await eventually(lambda: cameras(demand, "motion", 2))

    assert sorted(work.begun) == ["motion", "yolo-26n"]


async def test_a_model_that_nobody_wants_any_more_is_ended(bus: Bus) -> None:
    work = Work()
    await configure(bus, "a", "one")
    await configure(bus, "b", "two")

    async with following(bus, work):
        await eventually(lambda: at_work(work, one="one", two="two"))
        await configure(bus, "a", "three", revision=2)
        await eventually(lambda: at_work(work, two="two", three="three"))
        await (await bus.bucket(CAMERAS)).delete(current_key("b"))
        await eventually(lambda: at_work(work, three="three"))


async def test_one_that_is_wanted_again_begins_again(bus: Bus) -> None:
    work = Work()
    await configure(bus, "a", "one")

    async with following(bus, work):
        await eventually(lambda: at_work(work, one="one"))
        await (await bus.bucket(CAMERAS)).delete(current_key("a"))
        await eventually(lambda: at_work(work))
        await configure(bus, "a", "one", revision=3)
        await eventually(lambda: at_work(work, one="one"))


async def test_a_replica_may_be_kept_to_some_pools(bus: Bus) -> None:
    work = Work()
    await configure(bus, "a", "one")
    await configure(bus, "b", "two")

    async with following(bus, work, only={"two"}):
        await eventually(lambda: at_work(work, two="two"))


async def test_a_spec_that_cannot_be_read_changes_nothing(bus: Bus) -> None:
    work = Work()
    await configure(bus, "a", "one")

    async with following(bus, work):
        await eventually(lambda: at_work(work, one="one"))
        await (await bus.bucket(CAMERAS)).put(current_key("a"), b"{")
        await configure(bus, "b", "two")
        await eventually(lambda: at_work(work, one="one", two="two"))


async def test_work_that_fails_is_told(bus: Bus) -> None:
    demand = Demand(Runs())
    following = asyncio.create_task(demand.follow(bus))
    pools = asyncio.create_task(run_pools(demand, (), Work()))
    await configure(bus, "a", "broken")

    with pytest.raises(ExceptionGroup, match="TaskGroup"):
        await asyncio.wait_for(pools, 10)
    following.cancel()


async def cameras(demand: Demand, pool: str, count: int) -> bool:
    return len(demand.cameras(pool)) == count
