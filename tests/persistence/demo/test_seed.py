"""Invented history: the same as the writer would have written, and the same for the same seed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from contracts.identity import Direction
from services.persistence.demo.seed import AlreadyThere, DemoHistory, seed_history
from services.persistence.demo.shops import chain
from services.persistence.writer import Writer
from tests.persistence.builders import crossing
from tests.persistence.conftest import Stored

UNTIL = datetime(2026, 11, 3, 17, 20, tzinfo=UTC)
DAY = "(at AT TIME ZONE s.time_zone)::date"
QUARTER = "date_bin('15 minutes', at, timestamptz '2000-01-01 00:00Z')"


def autumn(shops: int = 8, seed: int = 7) -> DemoHistory:
    """Ten days in which the clocks of Paris, London, New York and St John's go back, until an afternoon."""
    return DemoHistory("demo", "Demo", chain(shops, seed), date(2026, 10, 24), date(2026, 11, 4), UNTIL, seed)


async def test_rollups_equal_the_record(database_url: str, stored: Stored) -> None:
    rows = await seed_history(database_url, autumn(), workers=2)

    assert rows == len(await stored.ids()) > 10_000
    assert await stored.rollup("count_quarter", "bucket") == await stored.recount(QUARTER)
    assert await stored.rollup("count_day", "day") == await stored.recount(DAY)
    minutes = await stored.rollup("count_minute", "bucket")
    kept = UNTIL - timedelta(hours=48)
    assert minutes == {row for row in await stored.recount("date_trunc('minute', at)") if row[4] >= kept} != set()
    sessions = await stored.pool.fetch("SELECT crossings, last_at FROM session_count")
    assert sum(session["crossings"] for session in sessions) == rows
    newest = await stored.pool.fetchval("SELECT max(at) FROM crossing")
    assert newest < UNTIL
    assert await stored.pool.fetchval("SELECT max(last_at) FROM store_version") == newest


async def test_people_go_in_before_they_go_out_in_opening_hours(database_url: str, stored: Stored) -> None:
    await seed_history(database_url, autumn(shops=1))  # in Tunis: an hour before UTC

    times = "min(at AT TIME ZONE 'Africa/Tunis')::time, max(at AT TIME ZONE 'Africa/Tunis')::time"
    day = await stored.pool.fetchrow(f"SELECT {times} FROM crossing WHERE at < '2026-10-25'")
    assert day is not None
    assert "09:00" < str(day[0]) < "11:00" < "18:00" < str(day[1]) < "20:05:30"
    ins, outs = await stored.pool.fetchrow("SELECT sum(ins), sum(outs) FROM count_day WHERE day = '2026-10-31'")
    assert abs(ins - outs) <= 0.1 * ins


async def test_saturday_is_busier_than_sunday(database_url: str, stored: Stored) -> None:
    await seed_history(database_url, autumn(shops=3))

    days = dict(await stored.pool.fetch("SELECT day, sum(ins) FROM count_day GROUP BY day"))
    assert days[date(2026, 10, 31)] > 1.3 * days[date(2026, 11, 1)]


async def test_the_same_seed_makes_the_same_rows_in_any_order_of_work(
    database_url: str, stored: Stored, pool: asyncpg.Pool
) -> None:
    await seed_history(database_url, autumn(shops=2), workers=2)
    first = await stored.ids()
    await pool.execute("TRUNCATE organization, store, crossing, session_count, store_version CASCADE")
    await pool.execute("TRUNCATE count_minute, count_quarter, count_day")

    await seed_history(database_url, autumn(shops=2))

    assert await stored.ids() == first


async def test_what_was_stopped_half_way_goes_on_and_counts_once(
    database_url: str, stored: Stored, pool: asyncpg.Pool
) -> None:
    whole = await seed_history(database_url, autumn(shops=2))
    first = await stored.ids()
    await pool.execute("TRUNCATE organization, store, store_version, count_day CASCADE")
    for table in ("crossing", "count_minute", "count_quarter"):
        await pool.execute(f"DELETE FROM {table} WHERE {'at' if table == 'crossing' else 'bucket'} >= '2026-11-01'")
    await pool.execute("DELETE FROM session_count WHERE session = 'invented-2026-11'")

    assert await seed_history(database_url, autumn(shops=2)) == whole
    assert await stored.ids() == first
    assert await stored.rollup("count_day", "day") == await stored.recount(DAY)


async def test_it_is_marked_as_a_demonstration_and_there_once(database_url: str, pool: asyncpg.Pool) -> None:
    await seed_history(database_url, autumn(shops=1))

    assert await pool.fetchval("SELECT demo FROM organization WHERE id = 'demo'")
    assert await pool.fetchval("SELECT count(DISTINCT model) FROM crossing WHERE model = 'invented'") == 1
    with pytest.raises(AlreadyThere):
        await seed_history(database_url, autumn(shops=1))


async def test_the_writer_goes_on_where_it_ends(database_url: str, stored: Stored, writer: Writer) -> None:
    await seed_history(database_url, autumn(shops=1))

    outcome = await writer.write([crossing(1, at=UNTIL, store="demo-001", direction=Direction.OUT)])

    assert outcome.new == 1
    assert await stored.version("demo-001") == 2
    assert await stored.rollup("count_day", "day") == await stored.recount(DAY)
