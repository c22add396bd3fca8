"""The rules of removing: nothing older remains anywhere, nothing younger goes, and rollups equal the record."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from contracts.events import State
from services.persistence import retention
from services.persistence.health import write_health
from services.persistence.partitions import Month, existing
from services.persistence.retention import limits, purge, survey
from services.persistence.writer import Writer
from tests.cli.command import metrica
from tests.persistence.builders import NOON, coverage, crossing, end, status
from tests.persistence.conftest import Stored

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BOUNDARY = datetime(2026, 9, 1, tzinfo=UTC)  # the present month and two before it are kept


async def shop(pool: asyncpg.Pool, name: str, months_kept: int | None, time_zone: str = "Africa/Tunis") -> None:
    """A store of an organization of the same name."""
    await pool.execute("INSERT INTO organization (id, name, months_kept) VALUES ($1, $1, $2)", name, months_kept)
    await pool.execute("INSERT INTO store (id, organization, name, time_zone) VALUES ($1, $1, $1, $2)", name, time_zone)


async def history(writer: Writer, *stores: str, run: str = "live") -> None:
    """A crossing every seven hours from July to November, in a session each month."""
    start = datetime(2026, 7, 1, tzinfo=UTC)
    moments = [start + n * timedelta(hours=7) for n in range(500)]
    await writer.write(
        [
            crossing(n, at=at, store=store, camera=f"{store}-door", session=f"s{at.month}", run=run)
            for store in stores
            for n, at in enumerate(moments)
        ]
    )


async def oldest(pool: asyncpg.Pool, store: str) -> dict[str, datetime | None]:
    """The oldest trace of a store in each table."""
    columns = {
        "crossing": "at",
        "count_minute": "bucket",
        "count_quarter": "bucket",
        "session_count": "last_at",
        "run_session": "at",
        "occupancy_correction": "at",
        "coverage": "start",
        "store_version": "last_at",
    }
    return {
        table: await pool.fetchval(f"SELECT min({column}) FROM {table} WHERE store = $1", store)
        for table, column in columns.items()
    }


async def test_nothing_older_remains_anywhere(pool: asyncpg.Pool, writer: Writer, stored: Stored) -> None:
    await shop(pool, "shop", 2)
    await history(writer, "shop")
    await history(writer, "shop", run="moved-line")
    await writer.write([end(0, camera="shop-door", session="s7").model_copy(update={"at": 0, "store": "shop"})])
    before = (BOUNDARY - NOON).total_seconds()
    intervals = [coverage(before - 9, before + 9), coverage(before - 5, before + 3), coverage(before - 9, before - 2)]
    await writer.write([interval.model_copy(update={"camera": "shop-door"}) for interval in intervals])
    for at in (BOUNDARY - timedelta(seconds=1), BOUNDARY):
        await pool.execute(
            "INSERT INTO occupancy_correction (store, at, inside, counted, who) VALUES ('shop', $1, 1, 1, 'me')", at
        )
    young = await pool.fetchval("SELECT count(*) FROM crossing WHERE at >= $1", BOUNDARY)

    purged = await purge(pool, NOW)

    assert all(moment is None or moment >= BOUNDARY for moment in (await oldest(pool, "shop")).values())
    assert await stored.coverage() == [("shop-door", "entrance", before, before + 9)]
    assert await pool.fetchval("SELECT min(day) FROM count_day") == BOUNDARY.date()
    assert await pool.fetchval("SELECT count(*) FROM crossing") == young
    assert (purged.crossings, purged.months, purged.waiting) == (1000 - young, 2, 0)
    assert [month.month for month in await existing_months(pool)] == [9, 10, 11]
    await stored.assert_rollups_equal_record()


async def existing_months(pool: asyncpg.Pool) -> list[Month]:
    async with pool.acquire() as connection:
        return await existing(connection)


async def test_each_organization_keeps_what_it_says(pool: asyncpg.Pool, writer: Writer, stored: Stored) -> None:
    for name, months in (("short", 0), ("long", 3), ("always", None)):
        await shop(pool, name, months)
    await history(writer, "short", "long", "always")

    await purge(pool, NOW)

    kept = {name: (await oldest(pool, name))["crossing"] for name in ("short", "long", "always")}
    assert kept["short"] is not None
    assert kept["short"].month == 11
    assert kept["long"] is not None
    assert kept["long"].month == 8
    assert kept["always"] == datetime(2026, 7, 1, tzinfo=UTC)
    assert len(await existing_months(pool)) == 5, "one organization keeps all of them"
    await stored.assert_rollups_equal_record()


@pytest.mark.parametrize("time_zone", ["Pacific/Kiritimati", "America/St_Johns", "Pacific/Pago_Pago", "UTC"])
async def test_the_day_that_the_boundary_cuts_is_counted_anew(
    pool: asyncpg.Pool, writer: Writer, stored: Stored, time_zone: str
) -> None:
    await shop(pool, "shop", 2, time_zone)
    await writer.write([crossing(n, at=BOUNDARY + timedelta(minutes=37 * (n - 100))) for n in range(200)])

    await purge(pool, NOW)

    assert len(await stored.ids()) == 100
    await stored.assert_rollups_equal_record()


async def test_again_removes_nothing_more_and_the_writer_goes_on(
    pool: asyncpg.Pool, writer: Writer, stored: Stored
) -> None:
    await shop(pool, "shop", 2)
    await history(writer, "shop")
    await purge(pool, NOW)
    left = await stored.ids()

    again = await purge(pool, NOW)
    late = await writer.write([crossing(9000, at=datetime(2026, 7, 3, tzinfo=UTC))])  # its month is gone
    assert (again.crossings, again.months, late.new) == (0, 0, 1)

    await purge(pool, NOW)
    assert await stored.ids() == left
    await stored.assert_rollups_equal_record()


async def test_of_health_remains_what_still_held_at_the_boundary(pool: asyncpg.Pool, stored: Stored) -> None:
    await shop(pool, "shop", 2)
    await shop(pool, "always", None)
    await stored.add_camera()
    await stored.add_camera("gate", "always")
    old = (BOUNDARY - NOON).total_seconds()
    for camera, store in (("door", "shop"), ("gate", "always")):
        await write_health(
            pool,
            [
                status(old - 20, State.STARTING, camera=camera, store=store),
                status(old - 10, camera=camera, store=store),
                status(old - 15, camera=camera, store=store, service="detector"),
                status(old + 10, State.STOPPED, camera=camera, store=store),
            ],
        )

    for _ in range(2):
        await purge(pool, NOW)

    kept = await pool.fetch("SELECT camera, service, state FROM camera_health ORDER BY camera, at")
    assert [tuple(row) for row in kept if row["camera"] == "door"] == [
        ("door", "detector", "running"),
        ("door", "ingest", "running"),
        ("door", "ingest", "stopped"),
    ]
    assert len([row for row in kept if row["camera"] == "gate"]) == 4


async def test_a_session_that_goes_on_is_kept_whole(pool: asyncpg.Pool, writer: Writer, stored: Stored) -> None:
    await shop(pool, "shop", 2)
    await writer.write([crossing(n, at=BOUNDARY + timedelta(days=n - 5)) for n in range(10)])

    await purge(pool, NOW)
    await writer.write([end(10)])

    assert await stored.sessions() == {"s1": 10}


async def test_a_store_that_is_no_more_follows_the_most_patient(pool: asyncpg.Pool, writer: Writer) -> None:
    await shop(pool, "short", 0)
    await shop(pool, "long", 2)
    await history(writer, "gone")
    await purge(pool, NOW)
    assert (await oldest(pool, "gone"))["crossing"] >= BOUNDARY  # type: ignore[operator]  # it is not None

    await shop(pool, "always", None)
    await history(writer, "gone", run="again")
    await purge(pool, NOW)
    assert (await oldest(pool, "gone"))["crossing"] == datetime(2026, 7, 1, tzinfo=UTC)


async def test_where_nobody_says_so_all_is_kept(pool: asyncpg.Pool, writer: Writer, stored: Stored) -> None:
    await shop(pool, "shop", None)
    await history(writer, "shop")

    purged = await purge(pool, NOW)

    assert (purged.crossings, len(await stored.ids())) == (0, 500)


async def test_a_month_that_is_read_is_dropped_later(
    pool: asyncpg.Pool, writer: Writer, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOCK_TIMEOUT", "20ms")
    await shop(pool, "shop", 2)
    await history(writer, "shop")
    reader = await asyncpg.connect(database_url)
    try:
        await reader.execute("BEGIN; SELECT count(*) FROM crossing")
        held = await purge(pool, NOW)
        await reader.execute("COMMIT")
    finally:
        await reader.close()

    assert (held.months, held.waiting) == (0, 2)
    assert (await purge(pool, NOW)).months == 2


async def test_writers_at_work_meanwhile_lose_nothing(pool: asyncpg.Pool, writer: Writer, stored: Stored) -> None:
    await shop(pool, "shop", 2)
    await history(writer, "shop")
    present = [crossing(10_000 + n, at=NOW + timedelta(seconds=n)) for n in range(200)]

    async def work() -> None:
        for n in range(0, len(present), 10):
            await writer.write(present[n : n + 10])

    await asyncio.gather(work(), purge(pool, NOW))

    ids = await stored.ids()
    assert all(ids[str(event.id)] == 1 for event in present)
    await stored.assert_rollups_equal_record()


async def test_a_survey_says_what_a_purge_removes(pool: asyncpg.Pool, writer: Writer) -> None:
    await shop(pool, "shop", 2)
    await history(writer, "shop")
    async with pool.acquire() as connection:
        (limit,) = await limits(connection, NOW)
        crossings, first = await survey(connection, limit)

    assert (limit.organization, limit.before, first) == ("shop", BOUNDARY, datetime(2026, 7, 1, tzinfo=UTC))
    assert (await purge(pool, NOW)).crossings == crossings


async def test_the_command(
    pool: asyncpg.Pool, writer: Writer, stored: Stored, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICA_PERSISTENCE_DATABASE_URL", database_url)
    assert "nothing would be removed" in (await asyncio.to_thread(metrica, "purge", "--dry-run")).out
    await shop(pool, "shop", 12)
    await writer.write([crossing(n, at=datetime(2001, 1, 1, tzinfo=UTC)) for n in range(1200)])

    dry = await asyncio.to_thread(metrica, "purge", "--dry-run")
    assert dry.out.startswith("shop: 1,200 crossings before ")
    assert len(await stored.ids()) == 1200

    done = await asyncio.to_thread(metrica, "purge")
    assert done.out == "1,200 crossings are removed, 1 months of them whole\n"
    assert len(await stored.ids()) == 0
