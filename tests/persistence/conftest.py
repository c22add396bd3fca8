"""Fixtures of the tests of persistence: connections to a fresh database, and its contents."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from services.persistence.app import open_pool
from services.persistence.writer import Writer
from tests.persistence.builders import NOON


@dataclass
class Stored:
    """A look into the database."""

    pool: asyncpg.Pool

    async def add_store(self, store: str, time_zone: str) -> None:
        await self.pool.execute("INSERT INTO organization VALUES ('chain', 'Chain') ON CONFLICT DO NOTHING")
        await self.pool.execute("INSERT INTO store VALUES ($1, 'chain', $1, $2)", store, time_zone)

    async def add_camera(self, camera: str = "door", store: str = "shop") -> None:
        """A camera of a store that is there."""
        await self.pool.execute(
            "INSERT INTO camera (id, store, name, revision, address, again, model, policy, width, quality, preview_fps,"
            " paused) VALUES ($1, $2, '', 1, 'sim://door', 0, 'motion', 'latest', 960, 85, 4, false)",
            camera,
            store,
        )

    async def health(self) -> list[tuple[float, str, str, str]]:
        """The stored health of cameras: seconds after noon, service, state and message."""
        rows = await self.pool.fetch("SELECT * FROM camera_health ORDER BY at, service")
        return [((row["at"] - NOON).total_seconds(), row["service"], row["state"], row["message"]) for row in rows]

    async def ids(self) -> Counter[str]:
        """Ids of the crossings, and how often each is there."""
        return Counter(str(row["id"]) for row in await self.pool.fetch("SELECT id FROM crossing"))

    async def version(self, store: str = "shop") -> int:
        return await self.pool.fetchval("SELECT version FROM store_version WHERE store = $1", store) or 0

    async def days(self, store: str = "shop") -> dict[str, tuple[int, int]]:
        rows = await self.pool.fetch(
            "SELECT day, sum(ins), sum(outs) FROM count_day WHERE store = $1 GROUP BY day ORDER BY day", store
        )
        return {str(day): (ins, outs) for day, ins, outs in rows}

    async def sessions(self) -> dict[str, int]:
        return {row["session"]: row["count"] for row in await self.pool.fetch("SELECT * FROM run_session")}

    async def coverage(self) -> list[tuple[str, str, float, float]]:
        """Camera, line and the two ends of each interval in which a line was counted, in seconds after noon."""
        rows = await self.pool.fetch("SELECT * FROM coverage ORDER BY camera, line, start")
        return [
            (row["camera"], row["line"], *((row[name] - NOON).total_seconds() for name in ("start", "until")))
            for row in rows
        ]

    async def rollup(self, table: str, bucket: str) -> set[tuple[Any, ...]]:
        """A rollup's rows; `bucket` is its column."""
        rows = await self.pool.fetch(f"SELECT run, store, camera, line, {bucket}, ins, outs FROM {table}")
        assert len(set(rows)) == len(rows)
        return {tuple(row) for row in rows}

    async def recount(self, bucket: str) -> set[tuple[Any, ...]]:
        """The rows that a rollup must hold, counted anew from the record; `bucket` is an expression of `at`."""
        rows = await self.pool.fetch(
            f"""SELECT run, c.store, camera, line, {bucket}, count(*) FILTER (WHERE direction = 'in'),
                       count(*) FILTER (WHERE direction = 'out')
                FROM crossing c LEFT JOIN store s ON s.id = c.store GROUP BY 1, 2, 3, 4, 5"""
        )
        return {tuple(row) for row in rows}

    async def assert_rollups_equal_record(self) -> None:
        assert await self.rollup("count_minute", "bucket") == await self.recount("date_trunc('minute', at)")
        assert await self.rollup("count_quarter", "bucket") == await self.recount(
            "date_bin('15 minutes', at, timestamptz '2000-01-01 00:00Z')"
        )
        assert await self.rollup("count_day", "day") == await self.recount(
            "(at AT TIME ZONE coalesce(s.time_zone, 'UTC'))::date"
        )

    async def a_writer_waits(self) -> bool:
        """Tell whether a lock holds a writer up. Call it outside of transactions, which would see the same for ever."""
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(await self.pool.fetchval(waiting)) > 0


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Wait for a state that nobody announces."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  # the database and the broker have no event for it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def locked(database_url: str, table: str) -> AsyncIterator[asyncpg.Connection]:
    """A lock on a table that holds writers up in the middle of their transaction; a commit releases it."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield connection
    finally:
        connection.terminate()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(database_url) as pool:
        yield pool


@pytest.fixture
def writer(pool: asyncpg.Pool) -> Writer:
    return Writer(pool)


@pytest.fixture
def stored(pool: asyncpg.Pool) -> Stored:
    return Stored(pool)
