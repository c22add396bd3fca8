"""`metrica promote`: promotions of a run's counts over the live ones, for a line and a period."""

from __future__ import annotations

import asyncio
import getpass
import json
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console.broker import running_bus
from services.cli.console.database import DatabaseUrl
from services.cli.console.errors import CommandError, plainly
from services.cli.console.options import moment_ns

if TYPE_CHECKING:
    from services.kit.database.tables import Promotion


def promote(
    name: Annotated[
        str | None, typer.Argument(help="Name of the run, as `metrica runs list` shows it.", show_default=False)
    ] = None,
    *,
    camera: Annotated[str | None, typer.Option(help="The camera's id.", show_default=False)] = None,
    line: Annotated[str | None, typer.Option(help="The line's id.", show_default=False)] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            "--since",
            help="Begin, at a full quarter of an hour: 2026-11-23T09:15:00+01:00, or 2026-11-23T09:15 in the store's "
            "time zone. \\[default: all of the run]",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", "--until", help="End, exclusive, likewise.", show_default=False)
    ] = None,
    note: Annotated[str, typer.Option(help="The reason, for the record.", show_default=False)] = "",
    by: Annotated[
        str | None, typer.Option(help="Author of the promotion. \\[default: your user name here]", show_default=False)
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="Show all promotions, revoked ones too.")] = False,
    number: Annotated[
        int | None, typer.Option("--revoke", help="Number of a promotion to revoke.", show_default=False)
    ] = None,
    database_url: DatabaseUrl = "",
    as_json: Annotated[bool, typer.Option("--json", help="With --list: print one JSON array.")] = False,
) -> None:
    """Show a run's counts in place of the live ones for a line and a period, at once and in all reports.

    No count is changed, so that --revoke restores exactly the counts from before. Of overlapping promotions, the newest
    applies.
    """
    if (name is not None) + list_all + (number is not None) != 1:
        raise CommandError("name the run to promote, or give --list, or --revoke NUMBER")
    author = by or getpass.getuser()
    if name is not None:
        if camera is None or line is None:
            raise CommandError("name the counts to promote: --camera NAME --line NAME")
        with plainly():
            asyncio.run(_promote(name, camera, line, since, until, author, note, database_url))
    elif number is not None:
        with plainly():
            asyncio.run(_revoke(number, author, database_url))
    else:
        _show(asyncio.run(_list(camera, database_url)), as_json=as_json)


async def _promote(
    name: str, camera: str, line: str, since: str | None, until: str | None, author: str, note: str, database_url: str
) -> None:
    from contracts.identity import LIVE
    from services.api.promotions import repository as promoting
    from services.cli.replaying.results import database, time_zone
    from services.kit.local_time import moment
    from services.kit.nats.run_entries import find_run
    from services.replay.history import now_ns

    async with running_bus() as bus, database(database_url) as connection:
        run = await find_run(bus, name)
        if run is None:
            raise CommandError(f"there is no run {name!r}; `metrica runs list` shows all runs")
        store = next((covered.store for covered in run.cameras if covered.camera == camera), "")
        zone, now = await time_zone(connection, store), now_ns()
        period = await promoting.period_of(
            connection,
            run,
            camera,
            line,
            None if since is None else moment_ns("--from", since, now, zone),
            None if until is None else moment_ns("--to", until, now, zone),
        )
        live, others = [await promoting.counts(connection, each, period) for each in (LIVE, name)]
        number = await promoting.promote(connection, name, period, author, note)
    print(f"{camera}/{line} from {moment(period.since)} to {moment(period.until)}")
    print(f"IN {live[0]} live, {others[0]} in {name}; OUT {live[1]} live, {others[1]} in {name}")
    print(f"promotion {number}: metrica promote --revoke {number} takes it back")


async def _revoke(number: int, author: str, database_url: str) -> None:
    from services.api.promotions.repository import revoke
    from services.cli.replaying.results import database

    async with database(database_url) as connection:
        await revoke(connection, number, author)
    print(f"promotion {number}: revoked")


async def _list(camera: str | None, database_url: str) -> list[Promotion]:
    from services.api.promotions.repository import promotions
    from services.cli.replaying.results import database

    async with database(database_url) as connection:
        return await promotions(connection, camera)


def _show(rows: list[Promotion], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([row.model_dump() for row in rows], default=lambda moment: moment.isoformat(), indent=2))
        return
    for row in rows:
        since, until, at = (f"{moment:%Y-%m-%d %H:%M}Z" for moment in (row.since, row.until, row.at))
        parts = [f"{row.id}  {row.store}/{row.camera}/{row.line}  {since} to {until}  run {row.run}", f"{at} {row.who}"]
        parts += [row.note] if row.note else []
        parts += [f"revoked {row.revoked_at:%Y-%m-%d %H:%M}Z {row.revoked_by}"] if row.revoked_at else []
        print("  ".join(parts))
    if not rows:
        print("There are no promotions: all reports show the live counts.")
