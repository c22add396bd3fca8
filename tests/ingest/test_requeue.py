"""A file whose model is changed loses no frame that was queued for the model before."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nats.js.errors import NotFoundError

from contracts.frames import FrameHeader
from contracts.identity import Policy
from contracts.spec import CameraSpec, Source
from contracts.streams import KEPT, Owner
from contracts.subjects import kept
from services.ingest.camera import CameraWorker
from services.ingest.progress import ProgressStore
from services.ingest.settings import IngestSettings
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, eventually
from tests.support.clips import write_clip

FRAMES = 20


async def queued(bus: Bus, model: str) -> list[FrameHeader]:
    """The frames that wait for a model, in order."""
    found: list[FrameHeader] = []
    place = 1
    while True:
        try:
            msg = await bus.js.get_msg(KEPT.name, seq=place, subject=kept("live", model, "shop", "door"), next=True)
        except NotFoundError:
            return found
        found.append(FrameHeader.from_headers(msg.headers))
        place = (msg.seq or 0) + 1


async def read_to_its_end(bus: Bus, clip: Path, model: str, revision: int) -> list[FrameHeader]:
    spec = CameraSpec(store="shop", camera="door", model=model, revision=revision, policy=Policy.EVERY)
    worker = CameraWorker(bus, ProgressStore(bus), IngestSettings(), spec, Source(camera="door", address=str(clip)))
    task = asyncio.create_task(worker.run())

    async def all_there() -> bool:
        return any(header.end for header in await queued(bus, model))

    await eventually(all_there)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return await queued(bus, model)


async def test_frames_that_waited_for_a_model_that_never_came_are_read_again_for_the_next(
    settings: ServiceSettings, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", FRAMES)
    async with connected(settings, Owner.INGEST) as bus:
        first = await read_to_its_end(bus, clip, "missing", 1)
        second = await read_to_its_end(bus, clip, "present", 2)
        assert await queued(bus, "missing") == []
        back = await read_to_its_end(bus, clip, "missing", 3)

    for headers in (first, second, back):
        assert [header.seq for header in headers] == list(range(FRAMES + 1))
        assert {header.session for header in headers} == {first[0].session}


async def test_what_was_looked_at_already_is_not_read_again(settings: ServiceSettings, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", FRAMES)
    async with connected(settings, Owner.INGEST) as bus:
        await read_to_its_end(bus, clip, "before", 1)
        for place in range(1, 9):  # as a detector does that acknowledges them
            await bus.js.delete_msg(KEPT.name, place)
        after = await read_to_its_end(bus, clip, "after", 2)

    assert [header.seq for header in after] == list(range(8, FRAMES + 1))
