"""Reading what ended in Postgres."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import asyncpg

from services.persistence.database_errors import UNABLE

END = "SELECT session, reason, frames, skipped, missed, count FROM run_session WHERE camera = $1"

Row = tuple[UUID, str, str, int, int, float]
"""id, line, direction, seq, at in ns, place."""


async def wait_for_end(database_url: str, camera: str, *, within: float) -> dict[str, Any]:
    """Wait for the row that says a camera's session is counted to its end; survives a database that is away.

    One connection is kept while it lasts: a new one each time would cost Postgres more than the counting does.
    """
    async with asyncio.timeout(within):
        while True:
            try:
                connection = await asyncpg.connect(database_url, timeout=2)
                try:
                    while (row := await connection.fetchrow(END, camera)) is None:  # noqa: ASYNC110  # no event tells it
                        await asyncio.sleep(0.1)
                    return dict(row)
                finally:
                    connection.terminate()
            except UNABLE:
                await asyncio.sleep(0.1)


async def crossings(database_url: str, camera: str) -> list[Row]:
    """A camera's crossings in the order of their time."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT id, line, direction, seq, at_ns, place FROM crossing WHERE run = 'live' AND camera = $1"
            " ORDER BY at_ns, id",
            camera,
        )
    finally:
        await connection.close()
    return [tuple(row) for row in rows]


async def rolled_up(database_url: str, camera: str, table: str) -> tuple[int, int]:
    """INs and OUTs of a camera as a rollup has them."""
    connection = await asyncpg.connect(database_url)
    try:
        row = await connection.fetchrow(
            f"SELECT coalesce(sum(ins), 0), coalesce(sum(outs), 0) FROM {table} WHERE run = 'live' AND camera = $1",
            camera,
        )
    finally:
        await connection.close()
    assert row is not None
    return int(row[0]), int(row[1])


def row(crossing: str, line: str, direction: str, seq: str | int, at: str | int, place: str | float) -> Row:
    """A row whose columns are text, or what JSON makes of them."""
    return UUID(crossing), line, direction, int(seq), int(at), float(place)


def counted(result: dict[str, Any]) -> list[Row]:
    """The crossings of `metrica count --json`, as `crossings` gives those of Postgres."""
    columns = ("id", "line", "direction", "seq", "at", "place")
    rows = [row(*(one[column] for column in columns)) for one in result["crossings"]]
    return sorted(rows, key=lambda row: (row[4], row[0]))
