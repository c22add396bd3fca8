"""`metrica export crossings | footfall`: a store's history as CSV, to a file or standard output."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from services.cli.console.database import DatabaseUrl, checked
from services.cli.console.errors import CommandError

if TYPE_CHECKING:
    import asyncpg

    from services.api.history.period import DateRange
    from services.kit.database.tables import Store

app = typer.Typer(help="Write a store's history as CSV.", no_args_is_help=True)


class BucketLength(StrEnum):
    """Length of a time bucket."""

    QUARTER = "15m"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Series(StrEnum):
    """Grouping of the counts into series."""

    TOTAL = "total"
    CAMERA = "camera"
    LINE = "line"


StoreID = Annotated[str, typer.Argument(help="The store's id.")]
From = Annotated[str | None, typer.Option("--from", help="The first local date, as in 2026-11-01; by default --to.")]
To = Annotated[str | None, typer.Option("--to", help="The last local date, inclusive; by default today.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="A file; by default standard output.")]
Run = Annotated[str, typer.Option(help="`live`, or the name of a replay.")]


@app.command("crossings")
def export_crossings(
    store: StoreID,
    *,
    first: From = None,
    last: To = None,
    output: Output = None,
    run: Run = "live",
    database_url: DatabaseUrl = "",
) -> None:
    """Export each crossing with its local time, in order of time."""
    from services.api.history.export import crossings_csv  # brings FastAPI; see main.py

    def pieces(connection: asyncpg.Connection, row: Store, period: DateRange) -> AsyncIterator[bytes]:
        return crossings_csv(connection, run, row, period)

    asyncio.run(_export(checked(database_url), store, first, last, output, pieces))


@app.command("footfall")
def export_footfall(
    store: StoreID,
    *,
    first: From = None,
    last: To = None,
    output: Output = None,
    bucket: Annotated[
        BucketLength, typer.Option(help="Length of a bucket. A week begins on Monday.")
    ] = BucketLength.HOUR,
    by: Annotated[Series, typer.Option(help="Grouping of the counts.")] = Series.TOTAL,
    open_only: Annotated[bool, typer.Option("--open-only", help="Only the time in which the store is open.")] = False,
    run: Run = "live",
    database_url: DatabaseUrl = "",
) -> None:
    """Export INs and OUTs: a line for each bucket of each series, also for buckets without a crossing."""
    from services.api.history.export import footfall_csv
    from services.api.history.period import Size
    from services.api.history.repository import By, CountSelection

    def pieces(connection: asyncpg.Connection, row: Store, period: DateRange) -> AsyncIterator[bytes]:
        return footfall_csv(
            connection, CountSelection(run, [row], open_only), period, Size(bucket), By(by), datetime.now(UTC)
        )

    asyncio.run(_export(checked(database_url), store, first, last, output, pieces))


async def _export(
    database_url: str,
    store: str,
    first: str | None,
    last: str | None,
    output: Path | None,
    pieces: Callable[[asyncpg.Connection, Store, DateRange], AsyncIterator[bytes]],
) -> None:
    from services.api.history.export import exporting
    from services.api.http.problems import DATABASE_ERRORS, Problem

    try:
        row, period = await _find(database_url, store, first, last)
        async with exporting(database_url) as connection:
            with _open(output) as out:
                async for piece in pieces(connection, row, period):
                    _write(out, piece, output)
    except Problem as problem:
        raise CommandError(problem.detail) from problem
    except DATABASE_ERRORS as error:
        raise CommandError(f"it cannot be exported: {error}. Is Metrica running (./taskw up)?") from error


async def _find(database_url: str, store: str, first: str | None, last: str | None) -> tuple[Store, DateRange]:
    from pydantic import ValidationError

    from services.api.access import LOCAL, readable_store
    from services.api.database import open_engine, open_sessions
    from services.api.history.endpoints import period_of
    from services.api.history.schemas import DatesQuery

    try:
        query = DatesQuery.model_validate({"from": first, "to": last})
    except ValidationError as error:
        raise CommandError(f"--{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}") from error
    engine = open_engine(database_url)
    try:
        async with open_sessions(engine)() as session:
            row = await readable_store(session, LOCAL, store)
    finally:
        await engine.dispose()
    return row, period_of(query, [row], datetime.now(UTC))


@contextmanager
def _open(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        return
    try:
        file = output.open("wb")
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}") from error
    try:
        yield file
    finally:
        with suppress(OSError):  # _write has reported the failure
            file.close()


def _write(out: BinaryIO, piece: bytes, output: Path | None) -> None:
    """Write a piece and flush it, so that failures of the output and of the database stay apart."""
    try:
        out.write(piece)
        out.flush()
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}") from error
