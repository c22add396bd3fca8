"""Playback of files: where it continues, where it begins anew, and how it is left."""

from __future__ import annotations

import asyncio
from typing import cast
from unittest.mock import AsyncMock

from contracts.frames import FrameHeader
from contracts.identity import Policy
from contracts.spec import CameraSpec, Capture, Source
from services.ingest.file_playback import ABANDONED, FilePlayback
from services.ingest.progress import FileProgress, ProgressStore
from services.ingest.publishing import Publisher
from services.ingest.requeue import Stranded
from services.ingest.settings import IngestSettings
from services.ingest.sources.opening import open_source
from services.kit.nats.bus import Bus


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
        self.written: list[FileProgress] = []

    async def read(self, _camera: str) -> FileProgress | None:
        return self.written[-1] if self.written else None

    async def write(self, _camera: str, progress: FileProgress) -> None:
        self.written.append(progress)


DOOR = "sim://door?people=1&pace=max&fps=5&width=320&height=180"
OTHER_DOOR = DOOR + "&seed=8"
START = 1_764_000_000_000_000_000
SPEC = CameraSpec(store="shop", camera="door", policy=Policy.EVERY, capture=Capture(width=64))


def playback(
    progress: Remembered, stream: FullStream, address: str = DOOR, again: int = 0, start: int | None = None
) -> FilePlayback:
    configured = Source(camera="door", address=address, again=again, start=start)
    bus = Bus(IngestSettings(), "test")
    return FilePlayback(bus, progress, cast("Publisher", stream), AsyncMock(), configured, lambda: SPEC)


async def resumed(
    progress: Remembered, stream: FullStream, address: str = DOOR, again: int = 0, start: int | None = None
) -> FileProgress:
    source = open_source(address)
    try:
        return await playback(progress, stream, address, again, start).choose_session(source, Stranded())
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


async def finished(progress: Remembered, session: FileProgress) -> FileProgress:
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


async def test_who_leaves_a_file_while_its_stream_is_full_writes_nothing_afterwards() -> None:
    progress, stream = Remembered(), FullStream(room=3)
    leaving = playback(progress, stream)
    source = open_source(DOOR)

    work = asyncio.create_task(leaving.publish(source, FileProgress(session="s", start=0)))
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
