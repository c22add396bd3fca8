"""The rules of writing: each crossing counts once, rollups equal the record, a bad row goes alone."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from contracts.events import Model
from contracts.identity import Direction, to_datetime
from services.persistence.writer import Writer
from tests.persistence.builders import NOON, crossing, crowd, end
from tests.persistence.conftest import Stored

TUNIS = "Africa/Tunis"


class TestOnce:
    async def test_same_batch_twice_counts_once(self, writer: Writer, stored: Stored) -> None:
        batch = crowd(40, seed=1)

        first = await writer.write(batch)
        second = await writer.write(batch)

        assert (first.new, first.duplicates) == (40, 0)
        assert (second.new, second.duplicates, second.changed) == (0, 40, set())
        assert set((await stored.ids()).values()) == {1}
        await stored.assert_rollups_equal_record()

    async def test_event_twice_in_a_batch_counts_once(self, writer: Writer, stored: Stored) -> None:
        outcome = await writer.write([crossing(1), crossing(2), crossing(1)])

        assert (outcome.new, outcome.duplicates) == (2, 1)
        assert await stored.days() == {"2026-11-20": (2, 0)}

    @pytest.mark.parametrize("later", [timedelta(seconds=5), timedelta(days=70)], ids=["seconds", "another month"])
    async def test_one_id_with_two_times_counts_once(self, writer: Writer, stored: Stored, later: timedelta) -> None:
        """The first time stands: a worker sent it again after its clock was set."""
        first, again = crossing(1, at=NOON), crossing(1, at=NOON + later)

        outcomes = [await writer.write([first, again]), await writer.write([again, crossing(2)])]

        assert [(outcome.new, outcome.duplicates) for outcome in outcomes] == [(1, 1), (1, 1)]
        assert await stored.days() == {"2026-11-20": (2, 0)}
        await stored.assert_rollups_equal_record()

    async def test_writers_with_one_id_and_two_times_at_once(
        self, pool: asyncpg.Pool, writer: Writer, stored: Stored
    ) -> None:
        writers = [writer, Writer(pool), Writer(pool)]
        for seq in range(20):
            at_once = (
                own.write([crossing(seq, at=NOON + timedelta(minutes=number))]) for number, own in enumerate(writers)
            )
            assert sum(outcome.new for outcome in await asyncio.gather(*at_once)) == 1
        await stored.assert_rollups_equal_record()

    async def test_writers_with_overlapping_batches_at_once(
        self, pool: asyncpg.Pool, writer: Writer, stored: Stored
    ) -> None:
        events = crowd(120, seed=2, stores=("north", "south"))
        rng = random.Random(3)
        writers = [writer, Writer(pool), Writer(pool)]

        async def work(own: Writer) -> int:
            shuffled = rng.sample(events, len(events))
            return sum([(await own.write(shuffled[i : i + 30])).new for i in range(0, len(events), 30)])

        assert sum(await asyncio.gather(*(work(own) for own in writers))) == len(events)
        assert set((await stored.ids()).values()) == {1}
        await stored.assert_rollups_equal_record()

    async def test_same_crossing_of_two_runs_counts_in_each(self, writer: Writer, stored: Stored) -> None:
        await writer.write([crossing(), crossing(run="replay")])

        rows = await stored.rollup("count_day", "day")
        assert rows == {(run, "shop", "door", "entrance", date(2026, 11, 20), 1, 0) for run in ("live", "replay")}

    async def test_record_holds_the_event(self, pool: asyncpg.Pool, writer: Writer) -> None:
        event = crossing(7, direction=Direction.OUT)
        await writer.write([event])

        row = await pool.fetchrow("SELECT * FROM crossing")
        assert row is not None
        assert dict(row) == {
            **event.model_dump(exclude={"version", "kind", "model", "at"}),
            "at": to_datetime(event.at),
            "at_ns": event.at,
            "model": "person-detection-0200",
            "model_sha256": "ab" * 32,
            "model_precision": "f32",
        }


class TestVersion:
    async def test_rises_once_per_batch_and_store(self, writer: Writer, stored: Stored) -> None:
        outcome = await writer.write([crossing(1), crossing(2), crossing(3, store="other")])
        await writer.write([crossing(4)])

        assert outcome.changed == {("live", "shop"), ("live", "other")}
        assert (await stored.version("shop"), await stored.version("other")) == (2, 1)

    async def test_stands_when_nothing_changed(self, writer: Writer, stored: Stored) -> None:
        await writer.write([crossing()])
        await writer.write([crossing(), end(1)])

        assert await stored.version() == 1

    async def test_last_crossing_never_goes_back(self, pool: asyncpg.Pool, writer: Writer) -> None:
        await writer.write([crossing(at=NOON), crossing(1, at=NOON - timedelta(hours=1))])
        await writer.write([crossing(2, at=NOON - timedelta(hours=2))])

        assert await pool.fetchval("SELECT last_at FROM store_version") == NOON


class TestDays:
    async def test_day_is_the_stores(self, writer: Writer, stored: Stored) -> None:
        await stored.add_store("shop", TUNIS)

        await writer.write([crossing(at=datetime(2026, 6, 30, 23, 30, tzinfo=UTC))])

        assert await stored.days() == {"2026-07-01": (1, 0)}

    async def test_unknown_stores_days_are_utc(self, writer: Writer, stored: Stored) -> None:
        await writer.write([crossing(at=datetime(2026, 11, 20, 23, 59, tzinfo=UTC))])

        assert await stored.days() == {"2026-11-20": (1, 0)}

    @pytest.mark.parametrize("time_zone", ["Africa/Tunis", "Europe/Paris", "America/St_Johns"])
    async def test_rollups_equal_the_record_through_a_change_of_clocks(
        self, writer: Writer, stored: Stored, time_zone: str
    ) -> None:
        await stored.add_store("shop", time_zone)
        start = datetime(2026, 10, 24, tzinfo=UTC)
        events = [crossing(n, at=start + timedelta(minutes=13 * n)) for n in range(300)]

        for part in range(0, len(events), 70):
            await writer.write(events[part : part + 90])

        await stored.assert_rollups_equal_record()

    async def test_days_follow_a_changed_time_zone_with_the_next_crossing(
        self, pool: asyncpg.Pool, writer: Writer, stored: Stored
    ) -> None:
        late = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
        await writer.write([crossing(at=late), crossing(1, at=NOON)])
        await stored.add_store("shop", TUNIS)

        await writer.write([crossing(2, at=late)])

        assert await stored.days() == {"2026-11-20": (1, 0), "2026-11-21": (2, 0)}
        assert await stored.version() == 2
        await stored.assert_rollups_equal_record()

    async def test_days_follow_a_changed_time_zone_without_a_crossing(self, writer: Writer, stored: Stored) -> None:
        await writer.write([crossing(at=datetime(2026, 11, 20, 23, 30, tzinfo=UTC))])
        await stored.add_store("shop", TUNIS)

        assert await writer.follow_time_zones() == {("live", "shop")}
        assert await writer.follow_time_zones() == set()

        assert await stored.days() == {"2026-11-21": (1, 0)}
        assert await stored.version() == 2


class TestMonths:
    @pytest.mark.parametrize(
        ("at", "partition"),
        [
            pytest.param(datetime(1970, 1, 1, tzinfo=UTC), "crossing_y1970m01", id="a camera without a clock"),
            pytest.param(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), "crossing_y2026m12", id="the year's last"),
            pytest.param(datetime(2027, 1, 1, tzinfo=UTC), "crossing_y2027m01", id="the year's first"),
            pytest.param(to_datetime(2**63 - 1000), "crossing_y2262m04", id="as late as can be"),
        ],
    )
    async def test_partition_comes_with_its_first_row(
        self, pool: asyncpg.Pool, writer: Writer, at: datetime, partition: str
    ) -> None:
        await writer.write([crossing(at=at)])

        assert await pool.fetchval("SELECT tableoid::regclass::text FROM crossing") == partition

    async def test_writers_that_meet_a_new_month_together(
        self, pool: asyncpg.Pool, writer: Writer, stored: Stored
    ) -> None:
        writers = [writer, Writer(pool), Writer(pool)]

        await asyncio.gather(*(own.write([crossing(n)]) for n, own in enumerate(writers)))

        assert len(await stored.ids()) == 3

    async def test_partition_that_was_taken_away_is_made_again(
        self, pool: asyncpg.Pool, writer: Writer, stored: Stored
    ) -> None:
        await writer.write([crossing(1)])
        await pool.execute("DROP TABLE crossing_y2026m11")

        outcome = await writer.write([crossing(2)])

        assert (outcome.new, outcome.refused) == (1, {})
        assert len(await stored.ids()) == 1


class TestBadRows:
    @pytest.mark.parametrize(
        ("bad", "reason"),
        [
            pytest.param({"spec_revision": 2**40}, "out of int32 range", id="a number too large"),
            pytest.param({"model": Model(name="a\0b")}, "invalid byte sequence", id="a NUL in a text"),
        ],
    )
    async def test_bad_row_goes_alone(
        self, writer: Writer, stored: Stored, bad: dict[str, object], reason: str
    ) -> None:
        good = crowd(60, seed=4)
        spoiled = crossing(999, **bad)  # type: ignore[arg-type]  # bad on purpose
        batch = [*good[:37], spoiled, *good[37:]]

        outcome = await writer.write(batch)

        assert outcome.new == 60
        assert list(outcome.refused) == [spoiled]
        assert reason in outcome.refused[spoiled]
        assert writer.problem is None
        await stored.assert_rollups_equal_record()

    async def test_bad_rows_alone_change_nothing(self, writer: Writer, stored: Stored) -> None:
        batch = [crossing(n, spec_revision=2**40) for n in range(3)]

        outcome = await writer.write(batch)

        assert set(outcome.refused) == set(batch)
        assert (outcome.changed, await stored.version()) == (set(), 0)

    async def test_row_that_breaks_a_constraint_goes_alone(
        self, pool: asyncpg.Pool, writer: Writer, stored: Stored
    ) -> None:
        await pool.execute("ALTER TABLE crossing ADD CHECK (line <> 'wall')")
        bad = crossing(1, line="wall")

        outcome = await writer.write([crossing(0), bad, crossing(2)])

        assert (outcome.new, list(outcome.refused)) == (2, [bad])
        await stored.assert_rollups_equal_record()


class TestSessions:
    async def test_end_is_written_with_its_crossings(self, pool: asyncpg.Pool, writer: Writer) -> None:
        await writer.write([crossing(1), crossing(2), end(2)])

        row = await pool.fetchrow("SELECT * FROM run_session")
        assert row is not None
        assert (row["session"], row["reason"], row["frames"], row["skipped"], row["count"]) == (
            *("s1", "finished", 1000, 2, 2),
        )

    async def test_end_twice_is_one(self, writer: Writer, stored: Stored) -> None:
        await writer.write([end(0)])
        await writer.write([end(0), end(0)])

        assert await stored.sessions() == {"s1": 0}

    async def test_session_is_open_until_its_last_crossing_is_in(self, writer: Writer, stored: Stored) -> None:
        early = await writer.write([crossing(1), end(2)])
        assert (early.incomplete, await stored.sessions()) == ([end(2)], {})

        again = await writer.write([crossing(1), end(2)])
        assert (again.incomplete, await stored.sessions()) == ([end(2)], {})

        late = await writer.write([crossing(2), end(2)])
        assert (late.incomplete, await stored.sessions()) == ([], {"s1": 2})

    async def test_overdue_end_is_written_with_crossings_missing(self, writer: Writer, stored: Stored) -> None:
        outcome = await writer.write([crossing(1), end(2)], overdue={end(2)})

        assert (outcome.incomplete, await stored.sessions()) == ([], {"s1": 2})

    async def test_cameras_that_play_the_same_file_end_apart(self, pool: asyncpg.Pool, writer: Writer) -> None:
        await writer.write([end(0, camera="front"), end(0, camera="back")])

        assert await pool.fetchval("SELECT count(*) FROM run_session") == 2


async def test_minutes_long_before_the_newest_are_forgotten_and_quarters_stay(
    pool: asyncpg.Pool, writer: Writer
) -> None:
    old, new = crossing(1, at=NOON - timedelta(hours=30)), crossing(2, at=NOON)
    await writer.write([old, new])

    await writer.prune_minutes(timedelta(hours=25))

    minute = to_datetime(new.at).replace(second=0, microsecond=0)
    assert [row["bucket"] for row in await pool.fetch("SELECT bucket FROM count_minute")] == [minute]
    assert await pool.fetchval("SELECT count(*) FROM count_quarter") == 2


async def test_no_batch_is_no_work(writer: Writer) -> None:
    assert (await writer.write([])).new == 0
