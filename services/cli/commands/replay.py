"""`metrica replay frames | detections`: stored data played through the services once more, as a run of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from contracts.runs import Run, RunKind
from services.cli.console.broker import running_bus
from services.cli.console.database import DatabaseUrl
from services.cli.console.errors import CommandError, plainly
from services.cli.console.options import AnchorOption, InOption, LineOption, LineWords, moment_ns
from services.cli.console.progress import ProgressBars
from services.cli.console.signals import on_interrupt
from services.cli.replaying.history import BrokerHistory, now_ns
from services.cli.replaying.planning import RunRequest, moment, plan, spec_in_run
from services.cli.replaying.results import Total, lasting_database, totals
from services.cli.replaying.runner import Replay
from services.cli.replaying.segment import SegmentHistory
from services.kit.tasks import cancel_and_wait

WARM_UP = 5.0
"""Minutes of data before a period. People in view at its begin have usually entered the frame within this time."""


class Material(StrEnum):
    """Stored data to play."""

    FRAMES = "frames"
    DETECTIONS = "detections"


def replay(
    what: Annotated[
        Material,
        typer.Argument(
            help="frames: detect, track and count again; detections: only track and count again.", show_default=False
        ),
    ],
    *,
    name: Annotated[str, typer.Option("--as", help="Name of the run.", show_default=False)],
    camera: Annotated[
        list[str] | None,
        typer.Option(help="Id of a camera; may be repeated. \\[default: all cameras]", show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Begin of the counts: 2026-11-23T09:00:00+01:00, or -2h.", show_default=False),
    ] = None,
    until: Annotated[str | None, typer.Option(help="End. \\[default: the end]", show_default=False)] = None,
    segment: Annotated[
        Path | None, typer.Option(help="A file of `metrica record`, in place of stored messages.", show_default=False)
    ] = None,
    speed: Annotated[str, typer.Option(help="1, 10 … times the original speed, or max.")] = "max",
    warm_up: Annotated[
        float, typer.Option(min=0, help="Minutes of data before --since, for the tracker to find the people in view.")
    ] = WARM_UP,
    line: LineOption = None,
    in_: InOption = None,
    anchor: AnchorOption = None,
    detector: Annotated[
        str | None, typer.Option(help="Model to use for the frames instead.", show_default=False)
    ] = None,
    database_url: DatabaseUrl = "",
) -> None:
    """Play stored data of a period through the services once more. The live counts do not change.

    Equal crossings have equal ids: `metrica runs diff NAME` shows the differences. Ctrl-C ends the run in order, and
    keeps its counts up to then.
    """
    if detector is not None and what is Material.DETECTIONS:
        raise CommandError("--detector needs frames: metrica replay frames …")
    with plainly():
        now = now_ns()
        request = RunRequest(
            name=name,
            kind=RunKind(what.value),
            cameras=tuple(camera or ()),
            since=None if since is None else moment_ns("--since", since, now),
            until=None if until is None else min(moment_ns("--until", until, now), now),
            speed=_speed(speed),
            words=LineWords(line or (), (), in_ or (), anchor or ()),
            model=detector,
        )
        ended, counted = asyncio.run(_play(request, segment, round(warm_up * 60e9), now, database_url))
    _report(ended, counted)


async def _play(
    request: RunRequest, segment: Path | None, warm_up: int, now: int, database_url: str
) -> tuple[Run, list[Total]]:
    async with running_bus() as bus, lasting_database(database_url) as rows:
        past = BrokerHistory(bus) if segment is None else SegmentHistory(segment)
        if isinstance(past, SegmentHistory) and not past.whole:
            _tell(f"{segment} is incomplete: it plays up to its last whole entry")
        run = await plan(past, request, now)
        for camera in run.cameras:
            extent = await past.extent(run.kind, camera.camera)
            if extent is not None:
                _tell(f"{camera.camera}: {run.kind} from {moment(extent.first)} to {moment(extent.last)} are there")
        replay = Replay(
            bus, rows, run, past, lambda spec: spec_in_run(run, spec), begin=max(0, run.since - warm_up), tell=_tell
        )
        with on_interrupt(_interrupter(replay.stop, run.name)):
            async with _progress(replay):
                ended = await replay.play()
        return ended, await totals(rows, run.name)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise CommandError(f"--speed {text}: give a number above 0, as 1 or 10, or max")
    return speed


def _interrupter(stop: Callable[[], None], name: str) -> Callable[[], None]:
    """Make the handler of Ctrl-C: the first one ends the run in order, the second leaves it as it is."""
    task, stopping = asyncio.current_task(), False

    def interrupt() -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            _tell("ending the run in order; press Ctrl-C once more to leave it as it is")
            stop()
        elif task is not None:
            _tell(f"left as it is: `metrica runs drop {name}` removes it")
            task.cancel()

    return interrupt


@asynccontextmanager
async def _progress(replay: Replay) -> AsyncIterator[None]:
    """Show the replay's progress on a terminal."""
    with ProgressBars() as progress:

        async def follow() -> None:
            while True:
                progress.reach("replaying", replay.progress)
                await asyncio.sleep(0.2)

        following = asyncio.create_task(follow())
        try:
            yield
        finally:
            await cancel_and_wait(following)


def _report(run: Run, counted: list[Total]) -> None:
    frames = sum(stretch.last - stretch.first + 1 for stretch in run.covered)
    print(f"run {run.name}: {run.state}, {moment(run.since)} to {moment(run.until)}, {frames} frames")
    for total in counted:
        print(f"{total.camera}/{total.line}  in {total.ins}  out {total.outs}")
    if not counted:
        print("nobody crossed a line")


def _tell(line: str) -> None:
    print(f"metrica: {line}", file=sys.stderr)
