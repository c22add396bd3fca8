"""The rules of a store's totals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time

import asyncpg
import pytest

from contracts.identity import to_ns
from services.kit.database.totals import all_totals, totals

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY, YESTERDAY = date(2026, 11, 20), date(2026, 11, 19)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO organization VALUES ('chain', 'Chain'); INSERT INTO store VALUES ('shop', 'chain', 'Shop', 'UTC')"
    )
    yield connection
    await connection.close()


async def count(connection: asyncpg.Connection, line: str, day: date, ins: int, outs: int, run: str = "live") -> None:
    await connection.execute(
        "INSERT INTO count_day VALUES ($1, 'shop', 'door', $2, $3, $4, $5)", run, line, day, ins, outs
    )
    await connection.execute(
        "INSERT INTO count_quarter VALUES ($1, 'shop', 'door', $2, $3, $4, $5)",
        *(run, line, datetime.combine(day, time(11), UTC), ins, outs),
    )


async def test_todays_counts_by_line_and_in_all(connection: asyncpg.Connection) -> None:
    await connection.execute("INSERT INTO store_version VALUES ('live', 'shop', 7, $1, 'UTC')", NOON)
    await count(connection, "right", TODAY, 5, 2)
    await count(connection, "left", TODAY, 1, 1)
    await count(connection, "left", YESTERDAY, 90, 80)
    await count(connection, "left", TODAY, 40, 30, run="replay")

    counts = await totals(connection, "live", "shop", NOON)

    assert (counts.revision, counts.day, counts.last_at) == (7, "2026-11-20", to_ns(NOON))
    assert (counts.in_, counts.out, counts.inside) == (6, 3, 3)
    assert [(line.line, line.in_, line.out) for line in counts.lines] == [("left", 1, 1), ("right", 5, 2)]


async def test_nothing_counted_is_zero(connection: asyncpg.Connection) -> None:
    counts = await totals(connection, "live", "nowhere", NOON)

    assert (counts.revision, counts.in_, counts.out, counts.inside, counts.lines) == (0, 0, 0, 0, ())
    assert counts.last_at is None


async def test_nobody_is_inside_less_than_nobody(connection: asyncpg.Connection) -> None:
    await count(connection, "left", TODAY, 2, 6)

    assert (await totals(connection, "live", "shop", NOON)).inside == 0


@pytest.mark.parametrize(
    ("time_zone", "now", "day", "ins"),
    [
        pytest.param("Africa/Tunis", "2026-11-20T22:59:59Z", "2026-11-20", 4, id="Tunis, before midnight"),
        pytest.param("Africa/Tunis", "2026-11-20T23:00:00Z", "2026-11-21", 0, id="Tunis, at midnight"),
        pytest.param("Pacific/Kiritimati", "2026-11-19T10:00:00Z", "2026-11-20", 4, id="fourteen hours ahead"),
        pytest.param("Pacific/Pago_Pago", "2026-11-21T10:59:59Z", "2026-11-20", 4, id="eleven hours behind"),
    ],
)
async def test_today_is_the_stores(
    connection: asyncpg.Connection, time_zone: str, now: str, day: str, ins: int
) -> None:
    await connection.execute("UPDATE store SET time_zone = $1", time_zone)
    await count(connection, "left", TODAY, 4, 0)

    counts = await totals(connection, "live", "shop", datetime.fromisoformat(now))

    assert (counts.day, counts.in_) == (day, ins)


async def test_many_stores_in_one_reading(connection: asyncpg.Connection) -> None:
    await count(connection, "left", TODAY, 4, 0)

    found = await all_totals(connection, [("live", "shop"), ("live", "bakery"), ("live", "shop")], NOON)

    assert [(counts.store, counts.in_) for counts in found] == [("bakery", 0), ("shop", 4)]
    assert await all_totals(connection, [], NOON) == []
