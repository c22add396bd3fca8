"""`metrica replay frames | detections`: stored data played through the services once more, as a run of its own."""

from __future__ import annotations

import asyncio
import getpass
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console.broker import running_bus
from services.cli.console.database import DatabaseUrl
from services.cli.console.errors import CommandError, plainly
from services.cli.console.options import AnchorOption, InOption, LineOption, LineWords, moment_ns

if TYPE_CHECKING:
    from contracts.runs import Run
    from services.cli.replaying.results import Total
    from services.replay.planning import Selection

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

    Equal crossings have equal ids: `metrica runs diff NAME` shows the differences. Ctrl-C ends the waiting, and the run
    goes on: `metrica runs watch NAME`. A run of a segment's file is this command's own, and Ctrl-C ends it in order.
    """
    if detector is not None and what is Material.DETECTIONS:
        raise CommandError("--detector needs frames: metrica replay frames …")
    with plainly():
        from contracts.runs import RunKind
        from services.replay.history import now_ns
        from services.replay.planning import Selection

        now = now_ns()
        selection = Selection(
            kind=RunKind(what.value),
            cameras=tuple(camera or ()),
            since=None if since is None else moment_ns("--since", since, now),
            until=None if until is None else min(moment_ns("--until", until, now), now),
        )
        words = LineWords(line or (), (), in_ or (), anchor or ())
        changes = _Changes(name, _speed(speed), round(warm_up * 60e9), words, detector)
        ended, counted = asyncio.run(_play(selection, changes, segment, now, database_url))
    report(ended, counted)


@dataclass(frozen=True, slots=True)
class _Changes:
    """Options about the run, rather than about its data."""

    name: str
    speed: float | None
    warm_up: int
    words: LineWords
    model: str | None


async def _play(
    selection: Selection, changes: _Changes, segment: Path | None, now: int, database_url: str
) -> tuple[Run, list[Total]]:
    from contracts.runs import Run, RunPhase, RunRequest
    from services.cli.console.progress import ProgressBars
    from services.cli.replaying.feeding import feed_here
    from services.cli.replaying.lines import lines_of_run
    from services.cli.replaying.requesting import carry_out, check_free, tell
    from services.cli.replaying.results import lasting_database, totals
    from services.cli.replaying.segment import SegmentHistory
    from services.kit.local_time import moment
    from services.replay.history import BrokerHistory
    from services.replay.planning import check_specs, select

    async with running_bus() as bus, lasting_database(database_url) as rows:
        past = BrokerHistory(bus) if segment is None else SegmentHistory(segment)
        if isinstance(past, SegmentHistory) and not past.whole:
            tell(f"{segment} is incomplete: it plays up to its last whole entry")
        data = await select(past, selection)
        run = Run(
            name=changes.name,
            kind=selection.kind,
            cameras=data.cameras,
            since=data.since,
            until=data.until,
            created_at=now,
            speed=changes.speed,
            lines=await lines_of_run(past, data.cameras, changes.words),
            model=changes.model,
        )
        await check_specs(past, run)
        for camera, extent in data.extents.items():
            tell(f"{camera}: {run.kind} from {moment(extent.first)} to {moment(extent.last)} are there")
        await check_free(bus, rows, run.name)
        begin = max(0, run.since - changes.warm_up)
        with ProgressBars() as progress:

            def show(done: float) -> None:
                progress.reach("replaying", done)

            if isinstance(past, SegmentHistory):
                ended = await feed_here(bus, run.in_phase(RunPhase.RUNNING), past, begin, show)
            else:
                request = RunRequest(by=getpass.getuser(), begin=begin, since=selection.since, until=selection.until)
                asked = run.in_phase(RunPhase.REQUESTED).model_copy(update={"request": request})
                ended, _ = await carry_out(bus, rows, asked, show)
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


def report(run: Run, counted: list[Total]) -> None:
    """Print the result of a run that has ended."""
    from services.kit.local_time import moment

    frames = sum(stretch.last - stretch.first + 1 for stretch in run.covered)
    print(f"run {run.name}: {run.stands}, {moment(run.since)} to {moment(run.until)}, {frames} frames")
    for total in counted:
        print(f"{total.camera}/{total.line}  in {total.ins}  out {total.outs}")
    if not counted:
        print("nobody crossed a line")
