"""`metrica recount`: counts of the last weeks over a line that was moved since, from stored paths."""

from __future__ import annotations

import asyncio
import getpass
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from services.cli.console.broker import running_bus
from services.cli.console.database import DatabaseUrl
from services.cli.console.errors import CommandError, plainly
from services.cli.console.options import AnchorOption, InOption, LineOption, LineWords, moment_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from contracts.events import Crossing
    from contracts.spec import CameraSpec, CountingLine
    from services.cli.replaying.comparison import Hour
    from services.cli.replaying.results import StoredCrossing
    from services.kit.nats.bus import Bus

UNNAMED = "recount"
"""Name of the run for crossings that are not kept."""


@dataclass(frozen=True, slots=True)
class Recounting:
    """The recounted period (ns UTC, `until` exclusive), its crossings, and the numbers of paths."""

    since: int
    until: int
    crossings: Sequence[Crossing | StoredCrossing]
    paths: int
    unread: int


@dataclass(frozen=True, slots=True)
class Result:
    """The live counts beside the recounted ones, by hour in the store's time zone."""

    camera: str
    time_zone: ZoneInfo
    lines: Sequence[CountingLine]
    recounted: Recounting
    hours: Sequence[Hour]
    run: str | None

    def totals(self, line: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return a line's (INs, OUTs) live, and recounted."""
        hours = [hour for hour in self.hours if hour.line == line]
        live = sum(hour.ins[0] for hour in hours), sum(hour.outs[0] for hour in hours)
        return live, (sum(hour.ins[1] for hour in hours), sum(hour.outs[1] for hour in hours))


def recount(
    *,
    camera: Annotated[str, typer.Option(help="The camera's id.", show_default=False)],
    line: LineOption = None,
    in_: InOption = None,
    anchor: AnchorOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Begin: 2026-11-23T09:00:00+01:00, 2026-11-23 in the store's time zone, or -2h.", show_default=False
        ),
    ] = None,
    until: Annotated[str | None, typer.Option(help="End. \\[default: the end]", show_default=False)] = None,
    name: Annotated[
        str | None, typer.Option("--as", help="Keep the result as a run of this name.", show_default=False)
    ] = None,
    database_url: DatabaseUrl = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Count the people of the last weeks over another line, and compare with the live counts by hour.

    No tracking is repeated: paths are stored for five weeks. The live counts do not change. Properties of a line that
    are not given stay as they are; without --line, the camera's present lines are used.
    """
    with plainly():
        words = LineWords(line or (), (), in_ or (), anchor or ())
        result = asyncio.run(_recount(camera, words, since, until, name, database_url))
    if as_json:
        print(json.dumps(_as_json(result), indent=2))
    else:
        _show(result)


async def _recount(
    camera: str, words: LineWords, since: str | None, until: str | None, name: str | None, database_url: str
) -> Result:
    from pydantic import TypeAdapter

    from contracts.identity import LIVE
    from contracts.runs import RunName
    from services.cli.replaying.comparison import by_hour
    from services.cli.replaying.lines import lines_over
    from services.cli.replaying.requesting import check_free, tell
    from services.cli.replaying.results import between, lasting_database, time_zone
    from services.kit.local_time import moment
    from services.replay.history import BrokerHistory, now_ns

    async with running_bus() as bus, lasting_database(database_url) as rows:
        spec = await BrokerHistory(bus).spec(camera)
        if spec is None:
            raise CommandError(f"there is no camera {camera!r}: `metrica camera list` shows them")
        lines, now = lines_over(spec, words), now_ns()
        zone = await time_zone(rows, spec.store)
        begin = None if since is None else moment_ns("--since", since, now, zone)
        end = None if until is None else moment_ns("--until", until, now, zone)
        if name is None:
            recounted = await _recount_here(bus, spec, lines, begin, end, now)
        else:
            await check_free(bus, rows, TypeAdapter(RunName).validate_python(name))
            recounted = await _recount_as_run(bus, rows, name, spec, lines, begin, end, now)
        tell(f"{camera}: recounted from {moment(recounted.since)} to {moment(recounted.until)}")
        if recounted.unread:
            tell(f"{camera}: {recounted.unread} paths cannot be read and are left out")
        ids = {counted.id for counted in lines}
        crossings = await between(rows, LIVE, [camera], recounted.since, recounted.until)
        live = [crossing for crossing in crossings if crossing.line in ids]
        return Result(camera, zone, lines, recounted, by_hour(live, recounted.crossings, zone), name)


async def _recount_here(
    bus: Bus, spec: CameraSpec, lines: Sequence[CountingLine], since: int | None, until: int | None, now: int
) -> Recounting:
    """Recount within this command: nothing is kept."""
    from services.replay.recount import recount as recount_paths

    found = await recount_paths(bus, UNNAMED, spec, lines, since, until, now)
    return Recounting(found.since, found.until, found.crossings, found.paths, found.unread)


async def _recount_as_run(
    bus: Bus,
    rows: asyncpg.Pool,
    name: str,
    spec: CameraSpec,
    lines: tuple[CountingLine, ...],
    since: int | None,
    until: int | None,
    now: int,
) -> Recounting:
    """Let the replay service recount, and keep the result as a run."""
    from contracts.runs import Run, RunCamera, RunKind, RunPhase, RunRequest
    from services.cli.replaying.requesting import carry_out
    from services.cli.replaying.results import between

    first = since or 0
    run = Run(
        name=name,
        kind=RunKind.PATHS,
        cameras=(RunCamera(camera=spec.camera, store=spec.store),),
        since=first,
        until=max(until or now, first + 1),  # the service puts in the period that it finds
        created_at=now,
        lines=lines,
        request=RunRequest(by=getpass.getuser(), since=since, until=until),
    )
    ended, progress = await carry_out(bus, rows, run.in_phase(RunPhase.REQUESTED), lambda _done: None)
    crossings = await between(rows, name, [spec.camera], ended.since, ended.until)
    return Recounting(ended.since, ended.until, crossings, progress.paths, progress.unread)


def _as_json(result: Result) -> dict[str, Any]:  # any JSON
    from services.kit.local_time import moment

    def both(live: tuple[int, int], recounted: tuple[int, int]) -> dict[str, dict[str, int]]:
        return {
            "live": {"in": live[0], "out": live[1]},
            "recounted": {"in": recounted[0], "out": recounted[1]},
        }

    return {
        "camera": result.camera,
        "run": result.run,
        "since": moment(result.recounted.since),
        "until": moment(result.recounted.until),
        "time_zone": result.time_zone.key,
        "paths": result.recounted.paths,
        "lines": [
            {
                **line.model_dump(mode="json", exclude={"name", "in_name", "out_name"}),
                **both(*result.totals(line.id)),
                "hours": [
                    {
                        "hour": hour.hour.isoformat(),
                        **both((hour.ins[0], hour.outs[0]), (hour.ins[1], hour.outs[1])),
                    }
                    for hour in result.hours
                    if hour.line == line.id
                ],
            }
            for line in result.lines
        ],
    }


def _show(result: Result) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(f"hour ({result.time_zone.key})", "line", "IN live", "recounted", "OUT live", "recounted", box=None)
    for hour in result.hours:
        counts = [str(count) for count in (*hour.ins, *hour.outs)]
        table.add_row(f"{hour.hour:%Y-%m-%d %H:%M %z}", hour.line, *counts)
    if result.hours:
        Console(highlight=False).print(table)
    for line in result.lines:
        (ins, outs), (new_ins, new_outs) = result.totals(line.id)
        print(f"{line.id}: IN {ins} live, {new_ins} recounted; OUT {outs} live, {new_outs} recounted")
    if result.run is not None:
        print(f"run {result.run}: metrica promote {result.run} … puts it in the place of the live counts")
