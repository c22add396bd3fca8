"""`metrica replay frames | detections`: what was, once more, as a run of its own beside the live one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console.broker import running_bus
from services.cli.console.database import DatabaseUrl
from services.cli.console.errors import Refused, plainly
from services.cli.console.options import AnchorOption, InOption, LineOption, LineWords, moment_ns
from services.cli.console.signals import on_interrupt
from services.kit.tasks import cancel_and_wait

if TYPE_CHECKING:
    from contracts.runs import Run
    from services.cli.replaying.planning import Asked
    from services.cli.replaying.results import Total
    from services.cli.replaying.runner import Replay

WARM_UP = 5.0
"""Minutes. Who is in the picture when a period begins came into it, as a rule, less long ago."""


class What(StrEnum):
    """What is played."""

    FRAMES = "frames"
    DETECTIONS = "detections"


def replay(
    what: Annotated[
        What, typer.Argument(help="frames are looked at anew, detections only tracked anew.", show_default=False)
    ],
    *,
    name: Annotated[str, typer.Option("--as", help="The run's name.", show_default=False)],
    camera: Annotated[
        list[str] | None, typer.Option(help="May be repeated. \\[default: all that there are]", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Count from then on: 2026-11-23T09:00:00+01:00, or -2h.", show_default=False),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until when. \\[default: the end]", show_default=False)] = None,
    segment: Annotated[
        Path | None, typer.Option(help="A file of `metrica record`, in place of what is stored.", show_default=False)
    ] = None,
    speed: Annotated[str, typer.Option(help="1, 10 … times as fast as it was, or max.")] = "max",
    warm_up: Annotated[
        float, typer.Option(min=0, help="Minutes before --since in which the tracker finds who is there.")
    ] = WARM_UP,
    line: LineOption = None,
    in_: InOption = None,
    anchor: AnchorOption = None,
    detector: Annotated[str | None, typer.Option(help="Another model for the frames.", show_default=False)] = None,
    database_url: DatabaseUrl = "",
) -> None:
    """Play a stretch of what was through the services once more. The live counts do not notice.

    The crossings have the ids that they had: `metrica runs diff NAME` says what became another. Ctrl-C ends the run in
    order, with what it has counted by then.
    """
    if detector is not None and what is What.DETECTIONS:
        raise Refused("--detector looks at frames: metrica replay frames …")
    with plainly():
        from contracts.runs import RunKind
        from services.cli.replaying.history import now_ns
        from services.cli.replaying.planning import Asked

        now = now_ns()
        asked = Asked(
            name=name,
            kind=RunKind(what.value),
            cameras=tuple(camera or ()),
            since=None if since is None else moment_ns("--since", since, now),
            until=None if until is None else min(moment_ns("--until", until, now), now),
            speed=_speed(speed),
            words=LineWords(line or (), (), in_ or (), anchor or ()),
            model=detector,
        )
        ended, counted = asyncio.run(_play(asked, segment, round(warm_up * 60e9), now, database_url))
    _report(ended, counted)


async def _play(
    asked: Asked, segment: Path | None, warm_up: int, now: int, database_url: str
) -> tuple[Run, list[Total]]:
    from services.cli.replaying.history import BrokerPast
    from services.cli.replaying.planning import moment, plan, seen
    from services.cli.replaying.results import lasting_database, totals
    from services.cli.replaying.runner import Replay
    from services.cli.replaying.segment import SegmentPast

    async with running_bus() as bus, lasting_database(database_url) as rows:
        past = BrokerPast(bus) if segment is None else SegmentPast(segment)
        if isinstance(past, SegmentPast) and not past.whole:
            _tell(f"{segment} is cut off: it plays up to there")
        run = await plan(past, asked, now)
        for one in run.cameras:
            held = await past.held(run.kind, one.camera)
            if held is not None:
                _tell(f"{one.camera}: {run.kind} from {moment(held.first)} to {moment(held.last)} are there")
        replay = Replay(
            bus, rows, run, past, lambda spec: seen(run, spec), begin=max(0, run.since - warm_up), tell=_tell
        )
        with on_interrupt(_interrupter(replay.stop, run.name)):
            async with _shown(replay):
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
        raise Refused(f"--speed {text}: give a number above 0, as 1 or 10, or max")
    return speed


def _interrupter(stop: Callable[[], None], name: str) -> Callable[[], None]:
    """What Ctrl-C does: it ends the run in order, and the second one leaves it as it is."""
    task, asked = asyncio.current_task(), False

    def interrupt() -> None:
        nonlocal asked
        if not asked:
            asked = True
            _tell("ending the run in order; once more leaves it as it is")
            stop()
        elif task is not None:
            _tell(f"left as it is: `metrica runs drop {name}` removes it")
            task.cancel()

    return interrupt


@asynccontextmanager
async def _shown(replay: Replay) -> AsyncIterator[None]:
    """Show on a terminal how far it is."""
    from services.cli.console.progress import Progress

    with Progress() as progress:

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
    from services.cli.replaying.planning import moment

    frames = sum(stretch.last - stretch.first + 1 for stretch in run.covered)
    print(f"run {run.name}: {run.state}, {moment(run.since)} to {moment(run.until)}, {frames} frames")
    for total in counted:
        print(f"{total.camera}/{total.line}  in {total.ins}  out {total.outs}")
    if not counted:
        print("nobody crossed a line")


def _tell(line: str) -> None:
    print(f"metrica: {line}", file=sys.stderr)
