"""`metrica runs list | show | watch | diff | stop | drop`: runs other than the live one, their counts, comparisons."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.console.broker import running_bus
from services.cli.console.database import DatabaseUrl
from services.cli.console.errors import CommandError, plainly

if TYPE_CHECKING:
    from contracts.runs import Run
    from services.cli.replaying.comparison import Comparison
    from services.cli.replaying.results import StoredCrossing, Total
    from services.kit.nats.bus import Bus

app = typer.Typer(help="List the runs other than the live one, compare and delete them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the run, as `metrica runs list` shows it.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List the runs, the newest last."""
    from services.kit.nats.run_entries import list_runs

    async def read() -> list[Run]:
        async with running_bus() as bus:
            return await list_runs(bus)

    listed = asyncio.run(read())
    if as_json:
        print(json.dumps([run.model_dump(mode="json") for run in listed], indent=2))
        return
    for run in listed:
        print(f"{run.name}  {_in_short(run)}")
    if not listed:
        print("There are no runs: metrica replay detections --since -1h --as NAME makes one")


@app.command("show")
def show(name: Name, *, database_url: DatabaseUrl = "", as_json: AsJson = False) -> None:
    """Show a run and its counts."""
    from services.cli.replaying.results import database, totals

    async def read() -> tuple[Run, list[Total]]:
        async with running_bus() as bus, database(database_url) as connection:
            return await _run(bus, name), await totals(connection, name)

    run, counted = asyncio.run(read())
    if as_json:
        lines = [{"camera": total.camera, "line": total.line, "in": total.ins, "out": total.outs} for total in counted]
        print(json.dumps({**run.model_dump(mode="json"), "counted": lines}, indent=2))
        return
    print(f"{run.name}  {_in_short(run)}")
    for stretch in run.covered:
        print(f"{stretch.camera}  session {stretch.session}  frames {stretch.first} to {stretch.last}")
    for total in counted:
        print(f"{total.camera}/{total.line}  in {total.ins}  out {total.outs}")


@app.command("watch")
def watch(name: Name, *, database_url: DatabaseUrl = "") -> None:
    """Wait until a run has ended, and show its counts. Ctrl-C ends the waiting, and the run goes on."""
    from services.cli.commands.replay import report
    from services.cli.console.progress import ProgressBars
    from services.cli.replaying.requesting import wait_for
    from services.cli.replaying.results import lasting_database, totals

    async def wait() -> tuple[Run, list[Total]]:
        async with running_bus() as bus, lasting_database(database_url) as rows:
            await _run(bus, name)
            with ProgressBars() as progress:
                ended, _ = await wait_for(bus, name, lambda done: progress.reach("replaying", done))
            return ended, await totals(rows, name)

    run, counted = asyncio.run(wait())
    if run.reason:
        raise CommandError(f"run {name} has failed: {run.reason}")
    report(run, counted)


@app.command("stop")
def stop(name: Name) -> None:
    """End a running run early, in order: it keeps its counts up to then."""
    from services.cli.replaying.requesting import require_service, wait_for
    from services.kit.nats.run_entries import ask_to_stop

    async def end() -> Run:
        async with running_bus() as bus:
            run = await _run(bus, name)
            if run.request is None or not run.running:
                raise CommandError(f"run {name!r} is {run.stands}: only a run that the replay service plays is stopped")
            await require_service(bus)
            await ask_to_stop(bus, name)
            return (await wait_for(bus, name, lambda _done: None))[0]

    print(f"run {name}: {asyncio.run(end()).stands}")


@app.command("diff")
def diff(
    name: Name,
    other: Annotated[str, typer.Argument(help="Another run.")] = "live",
    *,
    database_url: DatabaseUrl = "",
    as_json: AsJson = False,
) -> None:
    """Compare a run's crossings with the live ones, or with another run's, over the same frames.

    Exit code 1 if they differ.
    """
    from services.cli.replaying.comparison import compare
    from services.cli.replaying.results import between, covered, database

    async def read() -> Comparison:
        async with running_bus() as bus, database(database_url) as connection:
            run = await _run(bus, name)
            if other != "live":
                await _run(bus, other)
            if run.covered:
                return compare(*[await covered(connection, each, run.covered) for each in (name, other)])
            cameras = [camera.camera for camera in run.cameras]
            return compare(*[await between(connection, each, cameras, run.since, run.until) for each in (name, other)])

    comparison = asyncio.run(read())
    if as_json:
        print(json.dumps(_as_json(name, other, comparison), indent=2))
    else:
        _show_difference(name, other, comparison)
    if not comparison.same:
        raise typer.Exit(1)


@app.command("drop")
def drop_all(
    names: Annotated[
        list[str], typer.Argument(help="Names of runs, as `metrica runs list` shows them.", show_default=False)
    ],
    *,
    database_url: DatabaseUrl = "",
) -> None:
    """Delete runs with all their data: counts, streams and specs. A running one is ended."""
    from services.api.promotions.repository import check_not_promoted
    from services.cli.replaying.requesting import drop
    from services.cli.replaying.results import database

    async def remove() -> None:
        async with running_bus() as bus, database(database_url) as connection:
            for name in names:
                await _run(bus, name)
                await check_not_promoted(connection, name)
                if await drop(bus, connection, name):
                    print(f"run {name}: dropped")
                else:
                    print(f"run {name}: dropped; its rows are deleted as soon as persistence is back")

    with plainly():
        asyncio.run(remove())


async def _run(bus: Bus, name: str) -> Run:
    from services.kit.nats.run_entries import find_run

    run = await find_run(bus, name)
    if run is None:
        raise CommandError(f"there is no run {name!r}; `metrica runs list` shows all runs")
    return run


def _in_short(run: Run) -> str:
    from services.kit.local_time import moment

    cameras = ", ".join(camera.camera for camera in run.cameras)
    parts = [run.stands.value, run.kind.value, cameras, f"{moment(run.since)} to {moment(run.until)}"]
    if run.lines is not None:
        parts += [f"{line.id}={line.x1:g},{line.y1:g},{line.x2:g},{line.y2:g} in={line.in_side}" for line in run.lines]
    if run.model is not None:
        parts.append(f"model {run.model}")
    if run.reason:
        parts.append(run.reason)
    return "  ".join(parts)


def _as_json(name: str, other: str, comparison: Comparison) -> dict[str, Any]:  # any JSON
    return {
        "run": name,
        "other": other,
        "equal": comparison.equal,
        "changed": [[_crossing(ours), _crossing(theirs)] for ours, theirs in comparison.changed],
        "only_in_run": [_crossing(crossing) for crossing in comparison.only_first],
        "only_in_other": [_crossing(crossing) for crossing in comparison.only_second],
        "hours": [
            {
                "hour": hour.hour.isoformat(),
                "camera": hour.camera,
                "line": hour.line,
                "in": {name: hour.ins[0], other: hour.ins[1]},
                "out": {name: hour.outs[0], other: hour.outs[1]},
            }
            for hour in comparison.hours
        ],
    }


def _crossing(counted: StoredCrossing) -> dict[str, Any]:  # any JSON
    return {field: str(value) if field == "id" else value for field, value in counted._asdict().items()}


def _show_difference(name: str, other: str, comparison: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table

    print(
        f"{comparison.equal} crossings are equal, {len(comparison.changed)} are in both but changed, "
        f"{len(comparison.only_first)} are only in {name}, {len(comparison.only_second)} only in {other}"
    )
    if not comparison.hours:
        return
    table = Table("hour (UTC)", "line", f"in {name}", f"in {other}", f"out {name}", f"out {other}")
    for hour in comparison.hours:
        counts = [str(count) for count in (*hour.ins, *hour.outs)]
        table.add_row(f"{hour.hour:%Y-%m-%d %H}", f"{hour.camera}/{hour.line}", *counts)
    Console().print(table)
