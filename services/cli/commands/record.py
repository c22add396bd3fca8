"""`metrica record CAMERA`: a segment of a camera in a file, recorded from now on or taken from stored messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from nats.aio.msg import Msg

from contracts.frames import FrameHeader
from contracts.identity import LIVE
from contracts.subjects import frames, kept
from services.cli.commands.replay import WARM_UP
from services.cli.console.broker import running_bus
from services.cli.console.errors import CommandError
from services.cli.console.options import moment_ns
from services.cli.console.signals import on_interrupt
from services.cli.replaying.segment import SegmentWriter
from services.kit.nats.bus import Bus
from services.kit.nats.subscribers import subscribed_in_batches
from services.kit.tasks import cancel_and_wait, until
from services.replay.history import BrokerHistory, now_ns
from services.replay.window import AFTER

LiveFrame = tuple[FrameHeader, bytes]

FOR_EVER = 2**62
"""A time after all frames, ns UTC."""
FIRST_FRAME_TIMEOUT = 10.0
"""Seconds to wait for a camera's first frame."""
DETECTIONS_TIMEOUT = 5.0
"""Seconds by which detections may be later than their frames."""


def record(
    camera: Annotated[str, typer.Argument(help="The camera's id.", show_default=False)],
    *,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Record from now on, for this long.", show_default=False)
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Take stored messages from this time on: a time, or -2h.", show_default=False)
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="End of the stored messages. \\[default: now]", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="\\[default: CAMERA.segment]", show_default=False)
    ] = None,
) -> None:
    """Write a camera's frames, detections and specs into a file, which any Metrica can replay.

    With --minutes, from now on; Ctrl-C ends it early. With --since, stored frames, which need recording to be enabled
    (`metrica camera set CAMERA --record`), and stored detections in any case.
    """
    if (minutes is None) == (since is None):
        raise CommandError(
            "give a period to record: --minutes 10 from now on, or --since -1h --until -30m of stored data"
        )
    path = output or Path(f"{camera}.segment")
    now = now_ns()
    if minutes is not None:
        work = _from_now_on(camera, path, minutes * 60)
    else:
        begin = moment_ns("--since", since or "", now)
        work = _stored(camera, path, begin, moment_ns("--until", until or "now", now))
    frames, detections = asyncio.run(work)
    if not frames and not detections:
        path.unlink()
        raise CommandError(f"nothing of camera {camera!r} is stored for that time")
    size = path.stat().st_size / 1e6
    print(f"{path}: {frames} frames, {detections} detections, {size:.1f} MB")


async def _stored(camera: str, path: Path, since: int, until: int) -> tuple[int, int]:
    begin = since - round(WARM_UP * 60e9)
    async with running_bus() as bus:
        past = BrokerHistory(bus)
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
    async with running_bus() as bus, _passing(bus, camera) as frames:
        past = BrokerHistory(bus)
        try:
            async with asyncio.timeout(FIRST_FRAME_TIMEOUT):
                first = await frames.get()
        except TimeoutError:
            raise CommandError(
                f"camera {camera!r} sends no frames now; `metrica camera list` shows all cameras"
            ) from None
        with SegmentWriter(path, first[0].captured_at) as segment:
            recording = _Recording(past, segment, camera, first[0].captured_at)
            await recording.run(frames, first, seconds)
        return segment.frames, segment.detections


class _Recording:
    """Writes a camera's frames and their detections to a segment as they arrive."""

    def __init__(self, past: BrokerHistory, segment: SegmentWriter, camera: str, since: int) -> None:
        self._past, self._segment, self._camera, self._since = past, segment, camera, since
        self._seen = 0
        self._moved = asyncio.Event()

    async def run(self, frames: asyncio.Queue[LiveFrame], first: LiveFrame, seconds: float) -> None:
        """Record for a number of seconds, or until Ctrl-C."""
        following = asyncio.create_task(self._follow_detections())
        try:
            last = await self._write_frames(frames, first, seconds)
            with suppress(TimeoutError):
                async with asyncio.timeout(DETECTIONS_TIMEOUT):
                    while self._seen < last:
                        self._moved.clear()
                        await self._moved.wait()
        finally:
            await cancel_and_wait(following)
        self._segment.end(last + 1)

    async def _write_frames(self, frames: asyncio.Queue[LiveFrame], first: LiveFrame, seconds: float) -> int:
        """Write frames; return captured_at of the last one."""
        header, jpeg = first
        last = header.captured_at
        stopped = asyncio.Event()
        with suppress(TimeoutError), on_interrupt(stopped.set):
            async with asyncio.timeout(seconds):
                while not stopped.is_set():
                    await _add_spec(self._segment, self._past, self._camera, header.spec_revision)
                    self._segment.add_frame(header, jpeg)
                    last = header.captured_at
                    if (following := await until(stopped, frames.get())) is None:
                        break
                    header, jpeg = following
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
async def _passing(bus: Bus, camera: str) -> AsyncIterator[asyncio.Queue[LiveFrame]]:
    """Subscribe to a camera's frames, live or of a file."""
    passing: asyncio.Queue[LiveFrame] = asyncio.Queue()

    async def take(messages: Sequence[Msg]) -> None:
        for msg in messages:
            with suppress(ValueError):  # the detector reports malformed frames
                passing.put_nowait((FrameHeader.from_headers(msg.headers), msg.data))

    async with (
        subscribed_in_batches(bus.broker, frames(LIVE, "*", "*", camera), take),
        subscribed_in_batches(bus.broker, kept(LIVE, "*", "*", camera), take),
    ):
        yield passing


async def _add_spec(segment: SegmentWriter, past: BrokerHistory, camera: str, revision: int) -> None:
    if not segment.knows(camera, revision) and (spec := await past.spec(camera, revision)) is not None:
        segment.add_spec(spec)
