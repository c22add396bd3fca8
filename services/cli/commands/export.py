"""`metrica export crossings | footfall`: a store's history as CSV, to a file or to standard output."""

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
from services.cli.console.errors import Refused

if TYPE_CHECKING:
    import asyncpg

    from services.api.history.period import DateRange
    from services.kit.database.tables import Store

app = typer.Typer(help="Write a store's history as CSV.", no_args_is_help=True)


class Bucket(StrEnum):
    """How long a bucket is."""

    QUARTER = "15m"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Series(StrEnum):
    """What is counted together."""

    TOTAL = "total"
    CAMERA = "camera"
    LINE = "line"


StoreID = Annotated[str, typer.Argument(help="The store's id.")]
From = Annotated[str | None, typer.Option("--from", help="The first local date, as in 2026-11-01; --to unless said.")]
To = Annotated[str | None, typer.Option("--to", help="The last local date, itself included; today unless said.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="A file; standard output unless said.")]
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
    """Every crossing, in the order of time, with its local time."""
    from services.api.history.export import crossings_csv  # brings FastAPI; see main.py

    def pieces(connection: asyncpg.Connection, found: Store, period: DateRange) -> AsyncIterator[bytes]:
        return crossings_csv(connection, run, found, period)

    asyncio.run(_export(checked(database_url), store, first, last, output, pieces))


@app.command("footfall")
def export_footfall(
    store: StoreID,
    *,
    first: From = None,
    last: To = None,
    output: Output = None,
    bucket: Annotated[Bucket, typer.Option(help="How long a bucket is. A week begins on Monday.")] = Bucket.HOUR,
    by: Annotated[Series, typer.Option(help="What is counted together.")] = Series.TOTAL,
    open_only: Annotated[bool, typer.Option("--open-only", help="Only while the store is open.")] = False,
    run: Run = "live",
    database_url: DatabaseUrl = "",
) -> None:
    """INs and OUTs, a line for each bucket of each series, those without a count too."""
    from services.api.history.export import footfall_csv
    from services.api.history.period import Size
    from services.api.history.repository import By, CountSelection

    def pieces(connection: asyncpg.Connection, found: Store, period: DateRange) -> AsyncIterator[bytes]:
        return footfall_csv(connection, CountSelection(run, [found], open_only), period, Size(bucket), By(by))

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
        found, period = await _find(database_url, store, first, last)
        async with exporting(database_url) as connection:
            with _open(output) as out:
                async for piece in pieces(connection, found, period):
                    _write(out, piece, output)
    except Problem as problem:
        raise Refused(problem.detail) from problem
    except DATABASE_ERRORS as error:
        raise Refused(f"it cannot be exported: {error}. Is Metrica running (./taskw up)?") from error


async def _find(database_url: str, store: str, first: str | None, last: str | None) -> tuple[Store, DateRange]:
    from pydantic import ValidationError

    from services.api.access import LOCAL, readable_store
    from services.api.database import open_engine, open_sessions
    from services.api.history.endpoints import period_of
    from services.api.history.schemas import DatesQuery

    try:
        query = DatesQuery.model_validate({"from": first, "to": last})
    except ValidationError as error:
        raise Refused(f"--{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}") from error
    engine = open_engine(database_url)
    try:
        async with open_sessions(engine)() as session:
            found = await readable_store(session, LOCAL, store)
    finally:
        await engine.dispose()
    return found, period_of(query, [found], datetime.now(UTC))


@contextmanager
def _open(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        return
    try:
        file = output.open("wb")
    except OSError as error:
        raise Refused(f"{output} cannot be written: {error.strerror}") from error
    try:
        yield file
    finally:
        with suppress(OSError):  # what could not be written is told by who wrote it
            file.close()


def _write(out: BinaryIO, piece: bytes, output: Path | None) -> None:
    """Write a piece out to the last byte: what comes later is an error of the database."""
    try:
        out.write(piece)
        out.flush()
    except OSError as error:
        raise Refused(f"{output} cannot be written: {error.strerror}") from error
