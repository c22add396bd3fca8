"""A frame over which detector processes die: it is given up, and nothing else is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from contracts.events import CROSSING_EVENT, DeadLetter, SessionEnd
from contracts.frames import EndReason, FrameHeader
from contracts.identity import LIVE, Policy
from contracts.spec import CameraSpec, current_key, spec_key
from contracts.streams import CAMERAS, CROSSINGS, DLQ, KEPT, Owner
from contracts.subjects import Kind, kept
from infra.local.stack import Stack
from services.ingest.publishing import Publisher
from services.kit.nats.bus import Bus
from services.kit.nats.dead_letters import HEADER
from tests.support.broker import connected, eventually, settings_of, stored
from tests.support.deadly import HEIGHT, WIDTH, picture

FRAMES, DEADLY = 40, 3


@pytest.mark.exhaustive  # tests/detector shows it with workers of one process in a second
@pytest.mark.timeout(180)
def test_a_frame_that_kills_detectors_is_given_up_after_the_third_and_the_cameras_go_on(tmp_path: Path) -> None:
    """Two replicas, which are started again when they die; another camera's frames are in their hands, too."""

    async def look() -> None:
        async with connected(settings_of(stack), everything=True) as bus:
            await asyncio.to_thread(stack.start_services)
            await asyncio.gather(film(bus, "door", deadly=DEADLY), film(bus, "exit"))
            ends = {end.camera: end for end in await eventually(lambda: both_ends(bus), within=120)}
            assert (await bus.js.stream_info(KEPT.name)).state.messages == 0
            assert (await bus.js.stream_info(DLQ.name)).state.messages == 1
            letter = await bus.js.get_msg(DLQ.name, 1)
        assert {camera: (end.frames, end.skipped, end.missed) for camera, end in ends.items()} == {
            "door": (FRAMES, 1, 0),
            "exit": (FRAMES, 0, 0),
        }
        told = DeadLetter.model_validate_json((letter.headers or {})[HEADER])
        assert (told.service, told.subject) == ("detector", kept(LIVE, "deadly", "shop", "door"))
        assert told.reason == "given up after 3 deliveries without an answer"
        assert letter.data == picture(deadly=True)

    deaths: list[str] = []
    stack = Stack(
        tmp_path,
        replicas={Owner.DETECTOR: 2, Owner.INGEST: 0, Owner.PERSISTENCE: 0, Owner.API: 0},
        environment={"METRICA_BACKENDS": '{"deadly": "tests.support.deadly:Deadly"}'},
        durable=False,
        tell=lambda line: deaths.append(line) if "ended" in line else None,
    )
    stack.start_servers()
    try:
        asyncio.run(look())
    finally:
        stack.stop()
    assert len(deaths) == 3, deaths


async def film(bus: Bus, camera: str, *, deadly: int | None = None) -> None:
    """Configure a camera, and publish a file's frames of it to the end."""
    spec = CameraSpec(store="shop", camera=camera, model="deadly", policy=Policy.EVERY, preview_fps=0)
    bucket = await bus.bucket(CAMERAS)
    for key in (spec_key(camera, 1), current_key(camera)):
        await bucket.put(key, spec.model_dump_json().encode())
    publisher = Publisher(bus, camera)
    for seq in range(FRAMES + 1):
        header = FrameHeader(
            run=LIVE, store="shop", camera=camera, session="film", seq=seq, previous=seq - 1 if seq else None,
            captured_at=1_764_000_000_000_000_000 + seq * 100_000_000, width=WIDTH, height=HEIGHT, spec_revision=1,
            policy=Policy.EVERY, end=EndReason.FINISHED if seq == FRAMES else None,
        )  # fmt: skip
        await publisher.keep(header, b"" if header.end else picture(deadly=seq == deadly), spec)


async def both_ends(bus: Bus) -> list[SessionEnd]:
    events = [CROSSING_EVENT.validate_json(body) for body in await stored(bus, CROSSINGS.name, Kind.CROSSINGS)]
    ends = [event for event in events if isinstance(event, SessionEnd)]
    return ends if len(ends) == 2 else []
