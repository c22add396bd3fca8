"""A camera's work when it is left while a frame waits for room."""

from __future__ import annotations

import asyncio

import pytest

from contracts.frames import FrameHeader
from contracts.identity import Policy
from contracts.spec import CameraSpec, Capture, Source
from services.ingest.camera import CameraWorker
from services.ingest.settings import IngestSettings
from services.ingest.sources import open_source
from services.ingest.state import Progress, ProgressStore
from services.kit.bus import Bus


class FullStream:
    """Takes a few frames, and then none until there is room."""

    frames = dropped = 0

    def __init__(self, room: int) -> None:
        self.taken: list[int] = []
        self.full, self.emptied = asyncio.Event(), asyncio.Event()
        self._room = room

    async def keep(self, header: FrameHeader, _jpeg: bytes, _spec: CameraSpec) -> None:
        if header.seq >= self._room:
            self.full.set()
            await self.emptied.wait()
        self.taken.append(header.seq)


class Remembered(ProgressStore):
    """Progress in memory."""

    def __init__(self) -> None:
        self.written: list[Progress] = []

    async def write(self, _camera: str, progress: Progress) -> None:
        self.written.append(progress)


async def test_who_leaves_a_file_while_its_stream_is_full_writes_nothing_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, progress, stream = IngestSettings(), Remembered(), FullStream(room=3)
    spec = CameraSpec(store="shop", camera="door", policy=Policy.EVERY, capture=Capture(width=64))
    address = "sim://door?people=1&pace=max&fps=5&width=320&height=180"
    worker = CameraWorker(Bus(settings, "test"), progress, settings, spec, Source(camera="door", address=address))
    monkeypatch.setattr(worker, "_publisher", stream)
    monkeypatch.setattr(worker._report, "say", lambda *_args, **_kwargs: asyncio.sleep(0))
    source = open_source(address)

    work = asyncio.create_task(worker._publish_file(source, Progress(session="s", start=0)))
    await stream.full.wait()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    left_with = list(progress.written)
    stream.emptied.set()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)

    assert left_with[-1].next_seq == 3
    assert (stream.taken, progress.written) == ([0, 1, 2], left_with)
    source.close()
