"""The rules of a detector that looks at a replay, too: live frames go first, and none of the replay's is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from contracts.frames import EndReason
from contracts.runs import Run, RunCamera, RunKind, RunState, run_key, run_spec_key
from contracts.spec import CameraSpec, spec_key
from contracts.streams import CAMERAS, DETECTIONS, RUNS, run_streams
from contracts.subjects import kept
from services.detector.pools import Demand, asks_for
from services.detector.worker import PoolWorker
from services.kit.nats.bus import Bus
from services.kit.nats.runs import Runs
from services.kit.settings import ServiceSettings
from tests.detector.stand_ins import StandIn, header, jpeg
from tests.support.broker import connected, eventually, stored

SPEC = CameraSpec(store="shop", camera="door", model="stand-in")
RUN = Run(
    name="night", kind=RunKind.FRAMES, cameras=(RunCamera(camera="door", store="shop"),), since=1, until=2,
    created_at=1, models=("stand-in",),
)  # fmt: skip
STREAMS = run_streams("night")


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """A bus with all streams, and those of a run."""
    async with connected(settings, everything=True) as bus:
        await (await bus.bucket(CAMERAS)).put(spec_key("door", 1), SPEC.model_dump_json().encode())
        for stream in STREAMS:
            await bus.make(stream)
        bucket = await bus.bucket(RUNS)
        await bucket.put(run_spec_key("night", "door", 1), SPEC.model_dump_json().encode())
        await bucket.put(run_key("night"), RUN.model_dump_json().encode())
        yield bus


async def send(bus: Bus, run: str, seq: int, brightness: int, *, end: bool = False) -> None:
    head = header(seq, end=EndReason.FINISHED if end else None).model_copy(update={"run": run})
    await bus.publish(kept(run, "stand-in", "shop", "door"), jpeg(brightness), headers=head.to_headers())


async def test_live_frames_are_looked_at_before_those_of_a_replay(bus: Bus) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def look(_: int) -> None:
        begun.set()
        go_on.wait(20)
        time.sleep(0.05)  # as a network does: the next live frame has come by then

    detector, runs, thread = StandIn(before=look), Runs(), ThreadPoolExecutor(1)
    tasks = [
        asyncio.create_task(runs.follow(bus)),
        asyncio.create_task(PoolWorker(bus, "stand-in", detector, thread, runs).run()),
    ]
    try:
        for seq in range(5):
            await send(bus, "night", seq, 200 + seq)
        await asyncio.to_thread(begun.wait, 20)
        for seq in range(10):
            await send(bus, "live", seq, 100 + seq)
        go_on.set()

        async def all_are_answered() -> bool:
            live, night = await stored(bus, DETECTIONS.name), await stored(bus, STREAMS.detections.name)
            return (len(live), len(night)) == (10, 5)

        await eventually(all_are_answered)
    finally:
        go_on.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        thread.shutdown(wait=False)
    # One was in hand, and one may slip in while the first live one is on its way.
    assert [one for one in detector.seen if one >= 200] == [200, 201, 202, 203, 204]
    assert sum(one >= 200 for one in detector.seen[:11]) <= 2


async def test_a_run_that_ends_is_no_longer_looked_at(bus: Bus) -> None:
    detector, runs, thread = StandIn(), Runs(), ThreadPoolExecutor(1)
    tasks = [
        asyncio.create_task(runs.follow(bus)),
        asyncio.create_task(PoolWorker(bus, "stand-in", detector, thread, runs).run()),
    ]
    try:
        await send(bus, "night", 0, 200)

        async def it_is_answered() -> bool:
            return len(await stored(bus, STREAMS.detections.name)) == 1

        await eventually(it_is_answered)
        done = RUN.model_copy(update={"state": RunState.FINISHED})
        await (await bus.bucket(RUNS)).put(run_key("night"), done.model_dump_json().encode())

        async def nobody_pulls() -> bool:
            return not runs.running

        await eventually(nobody_pulls)
        for stream in STREAMS:
            await bus.remove(stream)
        await send(bus, "live", 0, 100)

        async def the_live_one_is() -> bool:
            return len(await stored(bus, DETECTIONS.name)) == 1

        await eventually(the_live_one_is)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        thread.shutdown(wait=False)


def test_a_pool_is_made_for_a_model_that_only_a_run_asks_for() -> None:
    runs = Runs()
    demand = Demand(runs)
    assert demand.models() == {}

    runs.running["night"] = RUN

    assert demand.models() == {"stand-in": "stand-in"}
    assert demand.runs("stand-in") == [RUN]
    assert demand.cameras("stand-in") == []


@pytest.mark.parametrize("kind", [RunKind.DETECTIONS, RunKind.PATHS])
def test_a_run_without_frames_asks_for_no_pool(kind: RunKind) -> None:
    assert not asks_for(RUN.model_copy(update={"kind": kind}), "stand-in")
