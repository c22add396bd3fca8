"""A camera's work on files: where it goes on, where it begins anew, and how it is left."""

from __future__ import annotations

import asyncio
import math
from unittest.mock import AsyncMock

import pytest

from contracts.frames import FrameHeader
from contracts.identity import Policy
from contracts.spec import CameraSpec, Capture, Source
from services.ingest.camera import ABANDONED, CameraWorker
from services.ingest.progress import Progress, ProgressStore
from services.ingest.requeue import Stranded
from services.ingest.settings import IngestSettings
from services.ingest.sources.opening import open_source
from services.kit.nats.bus import Bus
from services.kit.nats.lease import Lease


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

    async def read(self, _camera: str) -> Progress | None:
        return self.written[-1] if self.written else None

    async def write(self, _camera: str, progress: Progress) -> None:
        self.written.append(progress)


DOOR = "sim://door?people=1&pace=max&fps=5&width=320&height=180"
OTHER_DOOR = DOOR + "&seed=8"
START = 1_764_000_000_000_000_000
SPEC = CameraSpec(store="shop", camera="door", policy=Policy.EVERY, capture=Capture(width=64))


def worker(
    progress: Remembered, stream: FullStream, address: str = DOOR, again: int = 0, start: int | None = None
) -> CameraWorker:
    settings = IngestSettings()
    source = Source(camera="door", address=address, again=again, start=start)
    work = CameraWorker(Bus(settings, "test"), progress, settings, SPEC, source)
    work._publisher = stream  # type: ignore[assignment]  # stands in for it
    return work


async def resumed(
    progress: Remembered, stream: FullStream, address: str = DOOR, again: int = 0, start: int | None = None
) -> Progress:
    source = open_source(address)
    try:
        return await worker(progress, stream, address, again, start)._find_progress(source, Stranded())
    finally:
        source.close()


async def test_a_restart_goes_on_with_the_same_file() -> None:
    progress, stream = Remembered(), FullStream(room=0)

    assert await resumed(progress, stream) == await resumed(progress, stream)


async def test_another_file_begins_when_it_is_first_opened_and_closes_the_one_before() -> None:
    progress, stream = Remembered(), FullStream(room=ABANDONED + 1)
    first = await resumed(progress, stream)
    second = await resumed(progress, stream, OTHER_DOOR)

    assert second.session != first.session
    assert second.start > first.start
    assert stream.taken == [ABANDONED]


async def test_a_file_that_comes_back_after_another_is_not_counted_twice() -> None:
    progress, stream = Remembered(), FullStream(room=ABANDONED + 1)
    first = await finished(progress, await resumed(progress, stream))
    second = await finished(progress, await resumed(progress, stream, OTHER_DOOR))

    assert await came_back(progress, stream, DOOR) == (first.session, True)
    assert await came_back(progress, stream, OTHER_DOOR) == (second.session, True)


async def test_one_that_was_left_in_the_midst_is_counted_anew_when_it_comes_back() -> None:
    progress, stream = Remembered(), FullStream(room=ABANDONED + 1)
    first = await resumed(progress, stream, start=START)
    await finished(progress, await resumed(progress, stream, OTHER_DOOR, start=START))
    third = await resumed(progress, stream, start=START)

    assert third.session != first.session, "frames of a session that has ended are not taken"
    assert not third.finished


async def test_a_file_that_comes_back_is_counted_anew_where_that_is_asked_for() -> None:
    progress, stream = Remembered(), FullStream(room=ABANDONED + 1)
    first = await finished(progress, await resumed(progress, stream))
    await finished(progress, await resumed(progress, stream, OTHER_DOOR))
    second = await resumed(progress, stream, again=1)

    assert (second.session == first.session, second.finished) == (False, False)


async def test_counting_one_file_anew_asks_for_no_other() -> None:
    progress, stream = Remembered(), FullStream(room=ABANDONED + 1)
    first = await finished(progress, await resumed(progress, stream))
    await finished(progress, await resumed(progress, stream, OTHER_DOOR))
    await finished(progress, await resumed(progress, stream, OTHER_DOOR, again=1))

    assert await came_back(progress, stream, DOOR, again=1) == (first.session, True)


async def finished(progress: Remembered, session: Progress) -> Progress:
    await progress.write("door", session.model_copy(update={"finished": True}))
    return session


async def came_back(progress: Remembered, stream: FullStream, address: str, again: int = 0) -> tuple[str, bool]:
    session = await resumed(progress, stream, address, again)
    return session.session, session.finished


async def test_a_file_that_is_counted_anew_is_another_session() -> None:
    progress, stream = Remembered(), FullStream(room=ABANDONED + 1)
    first = await resumed(progress, stream)
    second = await resumed(progress, stream, again=1)

    assert second.session != first.session
    assert second == await resumed(progress, stream, again=1)


async def test_who_leaves_a_file_while_its_stream_is_full_writes_nothing_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    progress, stream = Remembered(), FullStream(room=3)
    leaving = worker(progress, stream)
    monkeypatch.setattr(leaving._report, "say", lambda *_args, **_kwargs: asyncio.sleep(0))
    source = open_source(DOOR)

    work = asyncio.create_task(leaving._publish_file(source, Progress(session="s", start=0)))
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


class Watched:
    """Takes all frames of a live camera, and says so."""

    def __init__(self) -> None:
        self.sessions: list[str] = []
        self.dropped = 0
        self.changed = asyncio.Condition()

    async def offer(self, header: FrameHeader, _jpeg: bytes, _spec: CameraSpec) -> bool:
        async with self.changed:
            self.sessions.append(header.session)
            self.changed.notify_all()
        return True

    def drop(self) -> None:
        self.dropped += 1

    async def see(self, frames: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.sessions) >= frames)


async def test_who_had_lost_the_camera_and_has_it_again_begins_another_session() -> None:
    """Another replica may have shown the same people meanwhile, and the tracker have ended the first one for that."""
    settings, watched, lease = IngestSettings(), Watched(), object.__new__(Lease)
    lease.epoch, lease._until = 0, math.inf
    door = Source(camera="door", address="sim://door?fps=20&width=320&height=180")
    spec = SPEC.model_copy(update={"policy": Policy.LATEST})
    work = CameraWorker(Bus(settings, "test"), Remembered(), settings, spec, door, lease)
    work._publisher = watched  # type: ignore[assignment]  # stands in for it
    work._report = AsyncMock()
    source = open_source(door.address)
    showing = asyncio.create_task(work._live(source))
    async with asyncio.timeout(20):
        await watched.see(3)
        lease._until = 0.0
        while not watched.dropped:  # noqa: ASYNC110  # no event tells it
            await asyncio.sleep(0.01)
        before = len(watched.sessions)
        lease.epoch, lease._until = 1, math.inf
        await watched.see(before + 3)
    showing.cancel()
    await asyncio.gather(showing, return_exceptions=True)
    source.close()

    assert len(set(watched.sessions[:before])) == 1
    assert len(set(watched.sessions[before:])) == 1
    assert watched.sessions[0] != watched.sessions[-1]
