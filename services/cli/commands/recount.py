"""`metrica recount`: counts of the last weeks over a line that was moved since, from stored paths."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

from contracts.identity import LIVE
from contracts.runs import Run, RunCamera, RunKind, RunName
from contracts.spec import CountingLine
from services.cli.console.broker import running_bus
from services.cli.console.database import DatabaseUrl
from services.cli.console.errors import CommandError, plainly
from services.cli.console.options import AnchorOption, InOption, LineOption, LineWords, moment_ns
from services.cli.replaying.comparison import Hour, by_hour
from services.cli.replaying.history import BrokerHistory, now_ns
from services.cli.replaying.lifecycle import check_free
from services.cli.replaying.planning import moment
from services.cli.replaying.recounting import Recounted, lines_over, write_run
from services.cli.replaying.recounting import recount as recount_paths
from services.cli.replaying.results import between, lasting_database, time_zone

UNNAMED = "recount"
"""Name of the run for crossings that are not kept."""


@dataclass(frozen=True, slots=True)
class Result:
    """The live counts beside the recounted ones, by hour in the store's time zone."""

    camera: str
    time_zone: ZoneInfo
    lines: Sequence[CountingLine]
    recounted: Recounted
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
    async with running_bus() as bus, lasting_database(database_url) as rows:
        spec = await BrokerHistory(bus).spec(camera)
        if spec is None:
            raise CommandError(f"there is no camera {camera!r}: `metrica camera list` shows them")
        lines, now = lines_over(spec, words), now_ns()
        zone = await time_zone(rows, spec.store)
        if name is not None:
            await check_free(bus, rows, TypeAdapter(RunName).validate_python(name))
        recounted = await recount_paths(
            bus,
            name or UNNAMED,
            spec,
            lines,
            None if since is None else moment_ns("--since", since, now, zone),
            None if until is None else moment_ns("--until", until, now, zone),
            now,
        )
        _tell(f"{camera}: recounted from {moment(recounted.since)} to {moment(recounted.until)}")
        if recounted.unread:
            _tell(f"{camera}: {recounted.unread} paths cannot be read and are left out")
        if name is not None:
            run = Run(
                name=name,
                kind=RunKind.PATHS,
                cameras=(RunCamera(camera=camera, store=spec.store),),
                since=recounted.since,
                until=recounted.until,
                created_at=now,
                lines=lines,
            )
            await write_run(bus, rows, run, recounted, _tell)
        ids = {counted.id for counted in lines}
        crossings = await between(rows, LIVE, [camera], recounted.since, recounted.until)
        live = [crossing for crossing in crossings if crossing.line in ids]
        return Result(camera, zone, lines, recounted, by_hour(live, recounted.crossings, zone), name)


def _as_json(result: Result) -> dict[str, Any]:  # any JSON
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


def _tell(line: str) -> None:
    print(f"metrica: {line}", file=sys.stderr)
