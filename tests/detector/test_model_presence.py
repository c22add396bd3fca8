"""The rules of replicas with different models: each takes what it can, and a camera hears the truth of all together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from contracts.events import State, Status
from contracts.spec import CameraSpec, current_key, spec_key
from contracts.streams import CAMERAS, DETECTIONS, STATUS
from contracts.subjects import kept
from services.detector import app as module
from services.detector.app import DetectorService
from services.detector.settings import DetectorSettings
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from tests.detector.stand_ins import Tries, header, jpeg
from tests.support.broker import connected, eventually, stored

HAS_IT = {"stand-in": "tests.detector.stand_ins:StandIn"}
HAS_IT_NOT = {"stand-in": "tests.detector.stand_ins:unavailable"}
SUBJECT = "metrica.live.status.shop.door.detector"


@pytest.fixture
async def bus(settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    """A bus with all streams and a camera; models that are missing are looked for again soon."""
    monkeypatch.setattr(module, "RETRY_MODEL", 0.05)
    async with connected(settings, everything=True) as bus:
        spec = CameraSpec(store="shop", camera="door", model="stand-in")
        for key in (spec_key("door", 1), current_key("door")):
            await (await bus.bucket(CAMERAS)).put(key, spec.model_dump_json().encode())
        yield bus


@asynccontextmanager
async def replica(
    settings: ServiceSettings, name: str, backends: dict[str, str], pools: str = ""
) -> AsyncIterator[None]:
    """A detector, on a connection of its own, ended in order."""
    own = DetectorSettings(replica=name, backends=backends, pools=pools)
    async with connected(settings) as bus:
        task = asyncio.create_task(DetectorService(bus, own).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def said(bus: Bus, state: State) -> Status | None:
    """The detectors' last word on the camera, if it is this."""
    status = Status.model_validate_json((await bus.js.get_last_msg(STATUS.name, SUBJECT)).data or b"")
    return status if status.state is state else None


async def tried(times: int) -> bool:
    return Tries.count >= times


async def all_said(bus: Bus) -> list[State]:
    return [Status.model_validate_json(body).state for body in await stored(bus, STATUS.name)]


async def test_the_frames_go_to_who_has_the_model_and_the_camera_hears_of_no_other(
    bus: Bus, settings: ServiceSettings
) -> None:
    async with replica(settings, "has-it", HAS_IT):
        await eventually(lambda: said(bus, State.RUNNING))
        before = await all_said(bus)
        async with replica(settings, "has-it-not", HAS_IT_NOT):
            enough = Tries.count + 5
            await eventually(lambda: tried(enough))
            for seq in range(10):
                await bus.publish(kept("live", "stand-in", "shop", "door"), jpeg(seq), headers=header(seq).to_headers())
            await eventually(lambda: all_answered(bus, 10))

        assert await all_said(bus) == before


async def test_the_camera_is_told_when_the_last_replica_that_had_the_model_is_gone(
    bus: Bus, settings: ServiceSettings
) -> None:
    async with replica(settings, "has-it-not", HAS_IT_NOT):
        told = await eventually(lambda: said(bus, State.NO_MODEL))
        assert told is not None
        assert told.message == "Its file is missing: put it there."
        async with replica(settings, "has-it", HAS_IT):
            await eventually(lambda: said(bus, State.RUNNING))
        await eventually(lambda: said(bus, State.NO_MODEL))


async def test_a_camera_whose_model_every_replica_leaves_to_others_is_told(bus: Bus, settings: ServiceSettings) -> None:
    async with replica(settings, "elsewhere", HAS_IT, pools="motion, person-detection-0200"):
        told = await eventually(lambda: said(bus, State.NO_MODEL))

    assert told is not None
    assert "No detector has the model stand-in" in told.message
    assert "METRICA_POOLS" in told.message


def test_pools_are_named_as_models_are() -> None:
    settings = DetectorSettings(pools="motion, YOLO 26n.onnx,")

    assert settings.pools == ("motion", "yolo-26n-onnx")
    assert DetectorSettings().pools == ()


def test_pools_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICA_POOLS", "motion,person-detection-0200")

    assert DetectorSettings().pools == ("motion", "person-detection-0200")


async def all_answered(bus: Bus, count: int) -> bool:
    return (await bus.js.stream_info(DETECTIONS.name)).state.messages == count
