"""The rules of promotions: what is shown is the run's in the promoted stretch and the live one's elsewhere."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from contracts.events import Crossing
from contracts.identity import LIVE, Direction, to_datetime, to_ns
from services.api.promotions.repository import PromotedPeriod, promote, revoke
from services.kit.database.promotions import EVERY_CORRECTION
from services.kit.database.totals import totals
from services.kit.local_time import local_day, time_zone_named
from services.persistence.app import open_pool
from services.persistence.writer import Writer
from tests.persistence.builders import crossing

QUARTER = timedelta(minutes=15)
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)
"""The day before clocks go back in Paris; in Tunis they never do."""
SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)
LINES = ("front", "lift")

Shown = Counter[tuple[date, str, Direction]]
Promoted = tuple[int, str, str, datetime, datetime]
"""Number, run, line, from, to."""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(database_url) as pool:
        yield pool


async def add_store(pool: asyncpg.Pool, time_zone: str) -> None:
    await pool.execute("INSERT INTO organization VALUES ('chain', 'Chain')")
    await pool.execute("INSERT INTO store VALUES ('shop', 'chain', 'Shop', $1)", time_zone)


def visitors(run: str, start: datetime, number: int, seed: int) -> list[Crossing]:
    """Crossings through two days."""
    chance = random.Random(f"{run}/{seed}")
    return [
        crossing(
            seq,
            at=start + timedelta(hours=48) * chance.random(),
            direction=chance.choice(list(Direction)),
            run=run,
            line=chance.choice(LINES),
        )
        for seq in range(number)
    ]


def shown(crossings: Iterable[Crossing], promoted: Sequence[Promoted], time_zone: str) -> Shown:
    """The rows that must be shown, counted one by one: a crossing is, if its run is in force in its line's quarter."""
    found: Shown = Counter()
    for one in crossings:
        at = to_datetime(one.at)
        force = [run for _, run, line, since, until in sorted(promoted) if line == one.line and since <= at < until]
        if one.run == (force[-1] if force else LIVE):
            found[local_day(at, time_zone_named(time_zone)), one.line, one.direction] += 1
    return found


async def assert_shown(
    pool: asyncpg.Pool, crossings: Iterable[Crossing], promoted: Sequence[Promoted], time_zone: str, start: datetime
) -> None:
    wanted, days = shown(crossings, promoted, time_zone), set[str]()
    for hours in range(0, 60, 6):
        counts = await totals(pool, LIVE, "shop", start + timedelta(hours=hours))
        day = date.fromisoformat(counts.day)
        days.add(counts.day)
        assert {(line.line, line.in_, line.out) for line in counts.lines if line.in_ or line.out} == {
            (line, wanted[day, line, Direction.IN], wanted[day, line, Direction.OUT])
            for line in LINES
            if wanted[day, line, Direction.IN] or wanted[day, line, Direction.OUT]
        }
        assert (counts.in_, counts.out) == (
            sum(line.in_ for line in counts.lines), sum(line.out for line in counts.lines)
        )  # fmt: skip
    assert len(days) >= 3


@pytest.mark.parametrize(
    ("time_zone", "start"),
    [("Africa/Tunis", AUTUMN), ("Europe/Paris", AUTUMN), ("Europe/Paris", SPRING), ("Asia/Kathmandu", SPRING)],
)
async def test_any_promotions_and_revocations_show_what_counting_one_by_one_shows(
    pool: asyncpg.Pool, time_zone: str, start: datetime
) -> None:
    chance = random.Random(f"{time_zone}/{start}")
    await add_store(pool, time_zone)
    crossings = [one for run in (LIVE, "night", "moved") for one in visitors(run, start, 150, seed=1)]
    await Writer(pool).write(crossings)
    promoted: list[Promoted] = []
    await assert_shown(pool, crossings, promoted, time_zone, start)
    async with pool.acquire() as connection:
        for _ in range(6):
            run, line = chance.choice(["night", "moved"]), chance.choice(LINES)
            since = start + QUARTER * chance.randrange(150)
            until = since + QUARTER * chance.randrange(1, 60)
            stretch = PromotedPeriod("shop", "door", line, to_ns(since), to_ns(until))
            number = await promote(connection, run, stretch, "anna", "")
            promoted.append((number, run, line, since, until))
            if chance.random() < 0.4:
                gone = chance.choice(promoted)
                await revoke(connection, gone[0], "anna")
                promoted.remove(gone)
            await assert_shown(pool, crossings, promoted, time_zone, start)
        for number, *_ in promoted:
            await revoke(connection, number, "anna")
    await assert_shown(pool, crossings, [], time_zone, start)


async def test_a_run_by_its_own_name_is_not_corrected(pool: asyncpg.Pool) -> None:
    await Writer(pool).write([crossing(1, at=AUTUMN), *(crossing(seq, at=AUTUMN, run="night") for seq in (1, 2))])
    stretch = PromotedPeriod("shop", "door", "entrance", to_ns(AUTUMN), to_ns(AUTUMN + QUARTER))
    async with pool.acquire() as connection:
        await promote(connection, "night", stretch, "anna", "")

    assert (await totals(pool, LIVE, "shop", AUTUMN)).in_ == 2
    assert (await totals(pool, "night", "shop", AUTUMN)).in_ == 2
    assert (await totals(pool, LIVE, "bakery", AUTUMN)).in_ == 0


async def test_a_promoted_run_that_saw_nobody_shows_nobody(pool: asyncpg.Pool) -> None:
    await Writer(pool).write([crossing(1, at=AUTUMN), crossing(2, at=AUTUMN + QUARTER)])
    stretch = PromotedPeriod("shop", "door", "entrance", to_ns(AUTUMN), to_ns(AUTUMN + QUARTER))
    async with pool.acquire() as connection:
        await promote(connection, "night", stretch, "anna", "")

    assert (await totals(pool, LIVE, "shop", AUTUMN)).in_ == 1


async def test_where_nothing_was_counted_live_a_promoted_run_is_shown(pool: asyncpg.Pool) -> None:
    await add_store(pool, "Africa/Tunis")
    await Writer(pool).write([crossing(1, at=AUTUMN, run="night")])
    stretch = PromotedPeriod("shop", "door", "entrance", to_ns(AUTUMN), to_ns(AUTUMN + QUARTER))
    async with pool.acquire() as connection:
        await promote(connection, "night", stretch, "anna", "")

    counts = await totals(pool, LIVE, "shop", AUTUMN)
    assert (counts.revision, counts.in_, [line.line for line in counts.lines]) == (1, 1, ["entrance"])


async def test_the_version_rises_with_a_promotion_and_with_its_revocation(pool: asyncpg.Pool) -> None:
    await Writer(pool).write([crossing(1, at=AUTUMN)])
    stretch = PromotedPeriod("shop", "door", "entrance", to_ns(AUTUMN), to_ns(AUTUMN + QUARTER))
    async with pool.acquire() as connection:
        number = await promote(connection, "night", stretch, "anna", "")
        first = await totals(pool, LIVE, "shop", AUTUMN)
        await revoke(connection, number, "anna")
        second = await totals(pool, LIVE, "shop", AUTUMN)

    assert [(one.revision, one.in_, one.last_at) for one in (first, second)] == [
        (2, 0, first.last_at),
        (3, 1, first.last_at),
    ]


async def test_days_that_do_not_follow_a_changed_time_zone_yet_are_corrected_by_the_zone_they_are_folded_by(
    pool: asyncpg.Pool,
) -> None:
    """Half past midnight in Paris, where the store is now; its days are still those of UTC."""
    late = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    await Writer(pool).write([crossing(1, at=late), *(crossing(seq, at=late, run="night") for seq in range(3))])
    await add_store(pool, "Europe/Paris")
    stretch = PromotedPeriod("shop", "door", "entrance", to_ns(late), to_ns(late + QUARTER))
    async with pool.acquire() as connection:
        await promote(connection, "night", stretch, "anna", "")

    before = await totals(pool, LIVE, "shop", late)
    await Writer(pool).follow_time_zones()
    after = await totals(pool, LIVE, "shop", late)

    assert [(counts.day, counts.in_) for counts in (before, after)] == [("2026-11-21", 0), ("2026-11-21", 3)]


@pytest.mark.parametrize("part", [timedelta(minutes=1), timedelta(seconds=1)])
async def test_the_database_itself_takes_whole_quarters_of_runs_only(pool: asyncpg.Pool, part: timedelta) -> None:
    stretch = PromotedPeriod("shop", "door", "entrance", to_ns(AUTUMN), to_ns(AUTUMN + part))
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await promote(connection, "night", stretch, "anna", "")
        with pytest.raises(asyncpg.CheckViolationError):
            await promote(connection, LIVE, stretch, "anna", "")


CORRECTIONS = f"SELECT * FROM ({EVERY_CORRECTION}) c WHERE c.store = $1 AND c.bucket >= $2 AND c.bucket < $3"


async def test_where_nothing_is_promoted_no_count_is_read_for_it(pool: asyncpg.Pool) -> None:
    await Writer(pool).write(visitors(LIVE, AUTUMN, 300, seed=2))
    async with pool.acquire() as connection:
        await connection.fetch(CORRECTIONS, "shop", AUTUMN, AUTUMN + timedelta(days=2))
        await connection.execute("SELECT pg_stat_force_next_flush(); SELECT pg_stat_clear_snapshot()")
        reads = "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 'count_quarter'"
        before = await connection.fetchval(reads)
        for _ in range(3):
            assert await connection.fetch(CORRECTIONS, "shop", AUTUMN, AUTUMN + timedelta(days=2)) == []
        await connection.execute("SELECT pg_stat_force_next_flush()")
        await connection.execute("SELECT pg_stat_clear_snapshot()")

        assert await connection.fetchval(reads) == before
