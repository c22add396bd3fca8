"""`metrica promote`: a run's counts in the place of the live ones, for a line and a period; listed, and taken back."""

from __future__ import annotations

import asyncio
import getpass
import json
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console.broker import running_bus
from services.cli.console.database import DatabaseUrl
from services.cli.console.errors import Refused
from services.cli.console.options import moment_ns

if TYPE_CHECKING:
    from services.cli.replaying.promoting import Promotion


def promote(
    name: Annotated[
        str | None, typer.Argument(help="The run, as `metrica runs list` shows it.", show_default=False)
    ] = None,
    *,
    camera: Annotated[str | None, typer.Option(help="Whose counts.", show_default=False)] = None,
    line: Annotated[str | None, typer.Option(help="Over which line.", show_default=False)] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            "--since",
            help="A quarter of an hour: 2026-11-23T09:15:00+01:00, or in the store's time 2026-11-23T09:15. "
            "\\[default: all of the run]",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", "--until", help="Until before then, likewise.", show_default=False)
    ] = None,
    note: Annotated[str, typer.Option(help="Why, for those who wonder later.", show_default=False)] = "",
    by: Annotated[str | None, typer.Option(help="Who. \\[default: your user here]", show_default=False)] = None,
    list_all: Annotated[bool, typer.Option("--list", help="Show all promotions that ever were.")] = False,
    number: Annotated[
        int | None, typer.Option("--revoke", help="Take a promotion back, by its number.", show_default=False)
    ] = None,
    database_url: DatabaseUrl = "",
    as_json: Annotated[bool, typer.Option("--json", help="With --list, for programs: one JSON array.")] = False,
) -> None:
    """Show a run's counts in the place of the live ones, for a line and a period, everywhere and at once.

    No count is changed, and --revoke brings back what was there, exactly. Of promotions that overlap, the newest is
    shown.
    """
    if (name is not None) + list_all + (number is not None) != 1:
        raise Refused("say which run to promote, or --list, or --revoke NUMBER")
    who = by or getpass.getuser()
    if name is not None:
        if camera is None or line is None:
            raise Refused("say whose counts: --camera NAME --line NAME")
        asyncio.run(_promote(name, camera, line, since, until, who, note, database_url))
    elif number is not None:
        asyncio.run(_revoke(number, who, database_url))
    else:
        _show(asyncio.run(_list(camera, database_url)), as_json=as_json)


async def _promote(
    name: str, camera: str, line: str, since: str | None, until: str | None, who: str, note: str, database_url: str
) -> None:
    from contracts.identity import LIVE
    from services.cli.replaying import promoting
    from services.cli.replaying.history import now_ns
    from services.cli.replaying.lifecycle import find_run
    from services.cli.replaying.planning import moment
    from services.cli.replaying.results import database, time_zone

    async with running_bus() as bus, database(database_url) as connection:
        run = await find_run(bus, name)
        if run is None:
            raise Refused(f"there is no run {name!r}; `metrica runs list` shows those there are")
        store = next((one.store for one in run.cameras if one.camera == camera), "")
        where, now = await time_zone(connection, store), now_ns()
        stretch = await promoting.stretch_of(
            connection,
            run,
            camera,
            line,
            None if since is None else moment_ns("--from", since, now, where),
            None if until is None else moment_ns("--to", until, now, where),
        )
        live, others = [await promoting.counted(connection, one, stretch) for one in (LIVE, name)]
        number = await promoting.promote(connection, name, stretch, who, note)
    print(f"{camera}/{line} from {moment(stretch.since)} to {moment(stretch.until)}")
    print(f"IN {live[0]} live, {others[0]} in {name}; OUT {live[1]} live, {others[1]} in {name}")
    print(f"promotion {number}: metrica promote --revoke {number} takes it back")


async def _revoke(number: int, who: str, database_url: str) -> None:
    from services.cli.replaying.promoting import revoke
    from services.cli.replaying.results import database

    async with database(database_url) as connection:
        await revoke(connection, number, who)
    print(f"promotion {number}: taken back")


async def _list(camera: str | None, database_url: str) -> list[Promotion]:
    from services.cli.replaying.promoting import promotions
    from services.cli.replaying.results import database

    async with database(database_url) as connection:
        return await promotions(connection, camera)


def _show(found: list[Promotion], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([one._asdict() for one in found], default=lambda moment: moment.isoformat(), indent=2))
        return
    for one in found:
        since, until, at = (f"{moment:%Y-%m-%d %H:%M}Z" for moment in (one.since, one.until, one.at))
        said = [f"{one.id}  {one.store}/{one.camera}/{one.line}  {since} to {until}  run {one.run}", f"{at} {one.who}"]
        said += [one.note] if one.note else []
        said += [f"taken back {one.revoked_at:%Y-%m-%d %H:%M}Z {one.revoked_by}"] if one.revoked_at else []
        print("  ".join(said))
    if not found:
        print("Nothing was ever promoted: the counts are the live ones.")
