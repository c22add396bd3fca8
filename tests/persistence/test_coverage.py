"""The rules of coverage in the database: intervals grow, and repeats change nothing."""

from __future__ import annotations

import asyncio

import asyncpg

from services.persistence.migrate import downgrade, upgrade
from services.persistence.writer import Writer
from tests.persistence.builders import coverage, crossing
from tests.persistence.conftest import Stored


async def test_an_interval_grows_in_whatever_order_its_messages_come(writer: Writer, stored: Stored) -> None:
    await writer.write([coverage(0, 60), coverage(0, 180), coverage(0, 120)])
    await writer.write([coverage(0, 60)])

    assert await stored.coverage() == [("door", "entrance", 0, 180)]


async def test_each_line_has_its_intervals(writer: Writer, stored: Stored) -> None:
    await writer.write([coverage(0, 60, lines=("left", "right")), coverage(90, 120, lines=("right",))])

    assert await stored.coverage() == [("door", "left", 0, 60), ("door", "right", 0, 60), ("door", "right", 90, 120)]


async def test_an_interval_without_lines_is_none(writer: Writer, stored: Stored) -> None:
    outcome = await writer.write([coverage(0, 60, lines=())])

    assert await stored.coverage() == []
    assert not outcome.refused


async def test_writers_at_once_agree(pool: asyncpg.Pool, stored: Stored) -> None:
    lines = ("a", "b", "c")
    parts = [[coverage(start, start + end, lines=lines) for start in range(0, 100, 10)] for end in (3, 9, 6)]

    await asyncio.gather(*(Writer(pool).write(part) for part in parts))

    assert await stored.coverage() == [
        ("door", line, start, start + 9) for line in lines for start in range(0, 100, 10)
    ]


async def test_coverage_changes_no_count(writer: Writer, stored: Stored) -> None:
    await writer.write([crossing(1)])

    outcome = await writer.write([coverage(0, 60)])

    assert (outcome.new, outcome.changed, await stored.version()) == (0, set(), 1)


async def test_what_was_counted_before_coverage_was_kept_is_taken_as_covered(
    database_url: str, writer: Writer, stored: Stored
) -> None:
    await writer.write([crossing(60), crossing(7200), crossing(30, camera="edge", session="edge-1")])

    await downgrade(database_url, "0070")
    await upgrade(database_url)

    assert await stored.coverage() == [("door", "entrance", 0, 8100)]
