"""Results of runs in the database. Functions take a connection of asyncpg, or a pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from contracts.identity import to_datetime
from contracts.runs import Stretch
from services.cli.console.database import checked
from services.cli.console.errors import CommandError
from services.kit.local_time import time_zone_named
from services.persistence.database_errors import UNABLE

CONNECT_TIMEOUT = 5.0

_TOTALS = """
SELECT camera, line, count(*) FILTER (WHERE direction = 'in') AS ins, count(*) FILTER (WHERE direction = 'out') AS outs
FROM crossing WHERE run = $1 GROUP BY camera, line ORDER BY camera, line
"""
_HOLDS = """
SELECT EXISTS (SELECT 1 FROM crossing WHERE run = $1) OR EXISTS (SELECT 1 FROM run_session WHERE run = $1)
    OR EXISTS (SELECT 1 FROM store_version WHERE run = $1) OR EXISTS (SELECT 1 FROM session_count WHERE run = $1)
    OR EXISTS (SELECT 1 FROM count_minute WHERE run = $1) OR EXISTS (SELECT 1 FROM count_quarter WHERE run = $1)
    OR EXISTS (SELECT 1 FROM count_day WHERE run = $1)
"""
_CROSSINGS = """
SELECT id, camera, line, line_revision, direction, session, seq, at_ns, place, spec_revision, store, model,
       model_sha256, model_precision
FROM crossing WHERE run = $1 AND at >= $2 AND at < $3 AND camera = ANY($4::text[]) ORDER BY at_ns, id
"""
_COVERED = """
SELECT c.id, c.camera, c.line, c.line_revision, c.direction, c.session, c.seq, c.at_ns, c.place, c.spec_revision,
       c.store, c.model, c.model_sha256, c.model_precision
FROM crossing c
JOIN unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS s (camera, session, first, last)
  ON c.camera = s.camera AND c.session = s.session AND c.seq BETWEEN s.first AND s.last
WHERE c.run = $1 ORDER BY c.at_ns, c.id
"""


class StoredCrossing(NamedTuple):
    """A crossing in the database, with all fields of the event but its run."""

    id: UUID
    camera: str
    line: str
    line_revision: int
    direction: str
    session: str
    seq: int
    at: int
    """ns UTC."""
    place: float
    spec_revision: int
    store: str
    model: str | None
    model_sha256: str | None
    model_precision: str | None


@dataclass(frozen=True, slots=True)
class Total:
    """INs and OUTs of a line in a run."""

    camera: str
    line: str
    ins: int
    outs: int


@asynccontextmanager
async def database(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect to the database of METRICA_DATABASE_URL.

    Raises:
        CommandError: no address is given, or the database does not answer.
    """
    try:
        connection = await asyncpg.connect(checked(url), timeout=CONNECT_TIMEOUT)
    except UNABLE as error:
        raise CommandError(f"the database does not answer: {error}. Is Metrica running (./taskw up)?") from error
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def lasting_database(url: str) -> AsyncIterator[asyncpg.Pool]:
    """Open a pool for a command that takes long: after a broken connection, the next call makes another.

    Raises:
        CommandError: no address is given, or the database does not answer.
    """
    async with database(url):
        pass
    async with asyncpg.create_pool(url, min_size=0, max_size=2, timeout=CONNECT_TIMEOUT) as pool:
        yield pool


async def time_zone(connection: asyncpg.Connection, store: str) -> ZoneInfo:
    """Return a store's time zone; UTC for an unknown store."""
    return time_zone_named(await connection.fetchval("SELECT time_zone FROM store WHERE id = $1", store))


async def totals(connection: asyncpg.Connection, run: str) -> list[Total]:
    """Return a run's counts by line."""
    return [Total(**row) for row in await connection.fetch(_TOTALS, run)]


async def holds(connection: asyncpg.Connection, run: str) -> bool:
    """Tell if there is any row of a run."""
    return bool(await connection.fetchval(_HOLDS, run))


async def covered(connection: asyncpg.Connection, run: str, stretches: Sequence[Stretch]) -> list[StoredCrossing]:
    """Return a run's crossings that were decided by frames of these stretches, in order of time."""
    columns = zip(*((part.camera, part.session, part.first, part.last) for part in stretches), strict=True)
    rows = await connection.fetch(_COVERED, run, *(list(column) for column in columns)) if stretches else []
    return [StoredCrossing(*row) for row in rows]


async def between(
    connection: asyncpg.Connection, run: str, cameras: Sequence[str], since: int, until: int
) -> list[StoredCrossing]:
    """Return a run's crossings of some cameras from `since` to `until` (ns UTC, exclusive), in order of time."""
    rows = await connection.fetch(_CROSSINGS, run, to_datetime(since), to_datetime(until), list(cameras))
    return [StoredCrossing(*row) for row in rows]
