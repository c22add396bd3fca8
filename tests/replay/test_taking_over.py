"""A feeder that takes over from one that was killed: each of the camera's data is in the run's stream once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from contracts.events import Detections
from contracts.frames import FrameHeader
from contracts.identity import Policy
from contracts.runs import FedCamera, Run, RunCamera, RunKind, RunPhase
from contracts.spec import CameraSpec
from contracts.streams import run_streams
from services.kit.nats.bus import Bus
from services.kit.nats.run_entries import create_run
from services.kit.settings import ServiceSettings
from services.kit.tasks import cancel_and_wait
from services.replay.backpressure import Backpressure
from services.replay.errors import RunError
from services.replay.feeder import Feeder
from services.replay.history import StoredExtent
from services.replay.lifecycle import make_streams
from tests.support import hour
from tests.support.broker import connected, eventually, stored

SCENE = list(hour.seen("door", 20, people_per_min=20, seed=3))
SPEC = hour.spec("door")


class Past:
    """The scene, as a source of runs; it may lack its first data, and stop before its last."""

    since: int | None = None
    until: int | None = None

    def __init__(self, first: int = 0, pause_at: int | None = None) -> None:
        self._first, self._pause_at = first, pause_at

    async def cameras(self, kind: RunKind) -> list[str]:
        return ["door"]

    async def extent(self, kind: RunKind, camera: str) -> StoredExtent | None:
        return None

    async def spec(self, camera: str, revision: int | None = None) -> CameraSpec | None:
        return SPEC

    async def detections(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[Detections, int]]:
        for number, event in enumerate(SCENE[self._first :]):
            if number == self._pause_at:
                await asyncio.Event().wait()
            yield event, event.captured_at

    async def frames(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[FrameHeader, bytes]]:
        async for event, _ in self.detections(camera, begin, until):
            fields = event.model_dump(include=FrameHeader.model_fields.keys() & Detections.model_fields.keys())
            yield FrameHeader.model_validate(fields | {"policy": Policy.EVERY}), b"jpeg"


def run_of(kind: RunKind) -> Run:
    first, last = SCENE[0].captured_at, SCENE[-1].captured_at
    cameras = (RunCamera(camera="door", store=SPEC.store),)
    run = Run(name="night", kind=kind, cameras=cameras, since=first, until=last + 1, created_at=1)
    return run.in_phase(RunPhase.RUNNING)


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    async with connected(settings, everything=True) as bus:
        yield bus


def feeder(bus: Bus, run: Run, past: Past, fed: tuple[FedCamera, ...] = ()) -> Feeder:
    return Feeder(bus, run, past, lambda spec: spec, begin=0, backpressure=Backpressure(bus, run), fed=fed)


async def kill_at(bus: Bus, run: Run, number: int) -> tuple[FedCamera, ...]:
    """Feed so many data, and be gone."""
    await make_streams(bus, run)
    await create_run(bus, run)
    first = feeder(bus, run, Past(pause_at=number))
    feeding = asyncio.create_task(first.feed())
    streams = run_streams(run.name)
    stream = streams.kept if run.kind is RunKind.FRAMES else streams.detections

    async def has_fed() -> bool:
        return (await bus.js.stream_info(stream.name)).state.last_seq >= number

    await eventually(has_fed)
    await cancel_and_wait(feeding)
    return first.fed


async def test_detections_are_stored_once_each_and_in_order(bus: Bus) -> None:
    run = run_of(RunKind.DETECTIONS)
    await kill_at(bus, run, 70)

    (fed,) = await feeder(bus, run, Past()).feed()

    seqs = [
        Detections.model_validate_json(body).seq for body in await stored(bus, run_streams("night").detections.name)
    ]
    assert seqs[:-1] == [event.seq for event in SCENE]
    assert (fed.sessions, fed.ended) == ((SCENE[0].session,), True)
    (again,) = await feeder(bus, run, Past()).feed()
    assert again == fed
    assert len(await stored(bus, run_streams("night").detections.name)) == len(seqs)


async def test_frames_that_are_fed_again_are_dropped_by_their_ids(bus: Bus) -> None:
    run = run_of(RunKind.FRAMES)
    (fed,) = await kill_at(bus, run, 40)
    assert fed.number == 40
    before = SCENE[24]
    late = (fed.model_copy(update={"number": 25, "session": before.session, "seq": before.seq}),)

    feeding = asyncio.create_task(feeder(bus, run, Past(pause_at=50), late).feed())

    async def has_fed() -> bool:
        return (await bus.js.stream_info(run_streams("night").kept.name)).state.last_seq >= 50

    await eventually(has_fed)
    await cancel_and_wait(feeding)
    assert (await bus.js.stream_info(run_streams("night").kept.name)).state.messages == 50


async def test_data_that_are_not_the_same_any_more_are_told(bus: Bus) -> None:
    run = run_of(RunKind.DETECTIONS)
    await kill_at(bus, run, 70)

    with pytest.raises(RunError, match="stored data of camera door are not those any more"):
        await feeder(bus, run, Past(first=5)).feed()
