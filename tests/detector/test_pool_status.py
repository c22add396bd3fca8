"""The rules of a pool's statuses: live cameras hear every change, clients of a run hear it while they listen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nats.aio.msg import Msg

from contracts.events import Model, State, Status
from contracts.runs import Run, RunCamera, RunKind
from contracts.spec import CameraSpec
from contracts.streams import STATUS
from services.detector.model_presence import ModelPresence
from services.detector.pool_status import PoolStatus
from services.detector.pools import Demand
from services.kit.nats.bus import Bus
from services.kit.nats.runs import Runs
from services.kit.settings import ServiceSettings
from services.kit.tasks import cancel_and_wait
from tests.support.broker import connected, eventually, stored

MODEL = Model(name="stand-in", sha256="")
RUN = Run(
    name="night", kind=RunKind.FRAMES, cameras=(RunCamera(camera="door", store="shop"),), since=1, until=2,
    created_at=1, models=("stand-in",),
)  # fmt: skip


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """A bus with all streams."""
    async with connected(settings, everything=True) as bus:
        yield bus


@pytest.fixture
def demand() -> Demand:
    """One live camera, and a run of it, that use the pool `stand-in`."""
    runs = Runs()
    runs.running["night"] = RUN
    demand = Demand(runs)
    demand._specs["door"] = CameraSpec(store="shop", camera="door", model="stand-in")
    return demand


@asynccontextmanager
async def heard(bus: Bus, run: str) -> AsyncIterator[list[Status]]:
    """The statuses of a run's cameras that core NATS passes on."""
    statuses: list[Status] = []

    async def take(msg: Msg) -> None:
        statuses.append(Status.model_validate_json(msg.data))

    subscription = await bus.client.subscribe(f"metrica.{run}.status.>", cb=take)
    yield statuses
    await subscription.unsubscribe()


async def kept(bus: Bus) -> list[Status]:
    return [Status.model_validate_json(body) for body in await stored(bus, STATUS.name)]


async def test_a_missing_model_is_reported_to_live_cameras_and_to_whoever_waits_for_a_run(
    bus: Bus, demand: Demand
) -> None:
    status = PoolStatus(bus, demand, ModelPresence(bus, "replica"))
    async with heard(bus, "night") as statuses:
        for _ in range(2):
            await status.report_unless_served(
                "stand-in", State.NO_MODEL, "put it there", code="model-unavailable", model="stand-in"
            )

        async def both() -> bool:
            return len(statuses) == 2

        await eventually(both)
    assert [(status.run, status.camera, status.message) for status in statuses] == [
        ("night", "door", "put it there")
    ] * 2
    assert [(status.run, status.state) for status in await kept(bus)] == [("live", State.NO_MODEL)] * 2
    assert {(status.code, str(status.params)) for status in await kept(bus)} == {
        ("model-unavailable", "{'model': 'stand-in'}")
    }


async def test_where_another_replica_has_the_model_nothing_is_reported(bus: Bus, demand: Demand) -> None:
    presence = ModelPresence(bus, "other")
    announcing = asyncio.create_task(presence.announce("stand-in"))
    await eventually(lambda: presence.anywhere("stand-in"))

    status = PoolStatus(bus, demand, ModelPresence(bus, "replica"))
    await status.report_unless_served("stand-in", State.NO_MODEL, "", code="model-unavailable", model="stand-in")

    assert await kept(bus) == []
    await cancel_and_wait(announcing)


async def test_trouble_of_the_stream_is_heard_by_core_nats_and_its_end_is_stored(bus: Bus, demand: Demand) -> None:
    status = PoolStatus(bus, demand, ModelPresence(bus, "replica"))
    bus._publish_health._failed["metrica.live.detections"] = (time.monotonic() + 1e6, "no space left")
    async with heard(bus, "live") as statuses:
        reporting = asyncio.create_task(status.report_changes("stand-in", MODEL))

        async def first() -> list[Status]:
            return statuses

        await eventually(first)
        bus._publish_health._failed.clear()

        async def again() -> bool:
            return statuses[-1].state is State.RUNNING

        await eventually(again)
        await cancel_and_wait(reporting)
    assert [status.state for status in statuses] == [State.RETRYING, State.RUNNING]
    assert "no space left" in statuses[0].message
    assert (await kept(bus))[-1].state is State.RUNNING
    assert {status.model for status in statuses} == {MODEL}
