"""`metrica record CAMERA`: a segment of a camera, from now on or from what is stored, in a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.commands.replay import WARM_UP
from services.cli.console.broker import running_bus
from services.cli.console.errors import Refused
from services.cli.console.options import moment_ns
from services.cli.console.signals import on_interrupt
from services.kit.tasks import cancel_and_wait

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from contracts.frames import FrameHeader
    from services.cli.replaying.history import BrokerPast
    from services.cli.replaying.segment import SegmentWriter
    from services.kit.nats.bus import Bus

    Shown = tuple[FrameHeader, bytes]

FOR_EVER = 2**62
"""A time that nothing is captured at, ns UTC."""
SHOWS = 10.0
"""Seconds that a camera is given to show its first frame."""
LATE = 5.0
"""Seconds that detections may come behind their frames."""


def record(
    camera: Annotated[str, typer.Argument(help="The camera's id.", show_default=False)],
    *,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="From now on, for so long.", show_default=False)
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="What is stored, from then on: a time, or -2h.", show_default=False)
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until when. \\[default: now]", show_default=False)] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="\\[default: CAMERA.segment]", show_default=False)
    ] = None,
) -> None:
    """Write a camera's frames, detections and spec into a file, which any Metrica replays.

    With --minutes its frames from now on; Ctrl-C ends that sooner. With --since those that were stored, where its
    recording is switched on (`metrica camera set CAMERA --record`), and the detections in any case.
    """
    if (minutes is None) == (since is None):
        raise Refused("say what to record: --minutes 10 from now on, or --since -1h --until -30m of what is stored")
    path = output or Path(f"{camera}.segment")
    from services.cli.replaying.history import now_ns

    now = now_ns()
    if minutes is not None:
        work = _from_now_on(camera, path, minutes * 60)
    else:
        begin = moment_ns("--since", since or "", now)
        work = _stored(camera, path, begin, moment_ns("--until", until or "now", now))
    frames, detections = asyncio.run(work)
    if not frames and not detections:
        path.unlink()
        raise Refused(f"nothing of camera {camera!r} is stored of that time")
    size = path.stat().st_size / 1e6
    print(f"{path}: {frames} frames, {detections} detections, {size:.1f} MB")


async def _stored(camera: str, path: Path, since: int, until: int) -> tuple[int, int]:
    from services.cli.replaying.history import BrokerPast
    from services.cli.replaying.segment import SegmentWriter
    from services.cli.replaying.window import AFTER

    begin = since - round(WARM_UP * 60e9)
    async with running_bus() as bus:
        past = BrokerPast(bus)
        with SegmentWriter(path, since) as segment:
            async for event, stored_at in past.detections(camera, begin, until + AFTER):
                if begin <= event.captured_at < until + AFTER:
                    await _add_spec(segment, past, camera, event.spec_revision)
                    segment.add_detections(event, stored_at)
            async for header, jpeg in past.frames(camera, begin, until):
                if begin <= header.captured_at < until:
                    await _add_spec(segment, past, camera, header.spec_revision)
                    segment.add_frame(header, jpeg)
            segment.end(until)
    return segment.frames, segment.detections


async def _from_now_on(camera: str, path: Path, seconds: float) -> tuple[int, int]:
    from services.cli.replaying.history import BrokerPast
    from services.cli.replaying.segment import SegmentWriter

    async with running_bus() as bus, _passing(bus, camera) as frames:
        past = BrokerPast(bus)
        try:
            async with asyncio.timeout(SHOWS):
                first = await frames.get()
        except TimeoutError:
            raise Refused(f"camera {camera!r} shows nothing now; `metrica camera list` shows which there are") from None
        with SegmentWriter(path, first[0].captured_at) as segment:
            recording = _Recording(past, segment, camera, first[0].captured_at)
            await recording.run(frames, first, seconds)
        return segment.frames, segment.detections


class _Recording:
    """Writes what passes: frames as they come, and the detections that are made of them."""

    def __init__(self, past: BrokerPast, segment: SegmentWriter, camera: str, since: int) -> None:
        self._past, self._segment, self._camera, self._since = past, segment, camera, since
        self._seen = 0
        self._moved = asyncio.Event()

    async def run(self, frames: asyncio.Queue[Shown], first: Shown, seconds: float) -> None:
        """Record for so long, or until Ctrl-C."""
        following = asyncio.create_task(self._follow_detections())
        try:
            last = await self._write_frames(frames, first, seconds)
            with suppress(TimeoutError):
                async with asyncio.timeout(LATE):
                    while self._seen < last:
                        self._moved.clear()
                        await self._moved.wait()
        finally:
            await cancel_and_wait(following)
        self._segment.end(last + 1)

    async def _write_frames(self, frames: asyncio.Queue[Shown], first: Shown, seconds: float) -> int:
        """Returns the time at which the last one was captured."""
        header, jpeg = first
        last = header.captured_at
        stopped = asyncio.Event()
        with suppress(TimeoutError), on_interrupt(stopped.set):
            async with asyncio.timeout(seconds):
                while not stopped.is_set():
                    await _add_spec(self._segment, self._past, self._camera, header.spec_revision)
                    self._segment.add_frame(header, jpeg)
                    last = header.captured_at
                    if (shown := await _first_of(frames, stopped)) is None:
                        break
                    header, jpeg = shown
        return last

    async def _follow_detections(self) -> None:
        begin = self._since - round(WARM_UP * 60e9)
        async for event, stored_at in self._past.detections(self._camera, begin, FOR_EVER, follow=True):
            if event.captured_at >= begin:
                await _add_spec(self._segment, self._past, self._camera, event.spec_revision)
                self._segment.add_detections(event, stored_at)
                self._seen = max(self._seen, event.captured_at)
                self._moved.set()


@asynccontextmanager
async def _passing(bus: Bus, camera: str) -> AsyncIterator[asyncio.Queue[Shown]]:
    """The frames of a camera, live or of a file, as they pass."""
    from contracts.frames import FrameHeader
    from contracts.identity import LIVE
    from contracts.subjects import frames, kept

    passing: asyncio.Queue[Shown] = asyncio.Queue()

    async def take(msg: Msg) -> None:
        with suppress(ValueError):  # the detector tells of those
            passing.put_nowait((FrameHeader.from_headers(msg.headers), msg.data))

    subscriptions = [
        await bus.client.subscribe(subject(LIVE, "*", "*", camera), cb=take, pending_bytes_limit=-1)
        for subject in (frames, kept)
    ]
    try:
        yield passing
    finally:
        for subscription in subscriptions:
            await subscription.unsubscribe()


async def _first_of(frames: asyncio.Queue[Shown], stopped: asyncio.Event) -> Shown | None:
    """The next frame; None once it is to end."""
    getting, stopping = asyncio.create_task(frames.get()), asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait([getting, stopping], return_when=asyncio.FIRST_COMPLETED)
        return getting.result() if getting.done() else None
    finally:
        for task in (getting, stopping):
            task.cancel()


async def _add_spec(segment: SegmentWriter, past: BrokerPast, camera: str, revision: int) -> None:
    if not segment.knows(camera, revision) and (spec := await past.spec(camera, revision)) is not None:
        segment.add_spec(spec)
