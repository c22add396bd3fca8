"""Coverage: time that was not counted is a gap, and never a zero; only what both sides counted is compared."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.api.history.coverage import LineCoverage, StoreCoverage
from tests.api.asked import Asked
from tests.persistence.builders import crossing

URL = "/v1/stores/shop/footfall"
NOW = datetime(2026, 11, 23, 8, 20, tzinfo=UTC)  # the clock's, a Monday
LINES = [{"id": "entrance", "x1": 0.5, "y1": 0, "x2": 0.5, "y2": 1, "in_side": "right"}]
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)


def at(hour: int, minute: int = 0, day: int = 23) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def covered(series: dict[str, Any]) -> list[float | None]:
    return [bucket["covered"] for bucket in series["buckets"]]


class TestShares:
    """The pure rules, against a count of seconds one by one."""

    @pytest.mark.parametrize("seed", range(20))
    def test_shares_are_what_counting_each_second_gives(self, seed: int) -> None:
        rng = random.Random(seed)
        now = 900
        lines = []
        for name in "abc"[: rng.randint(1, 3)]:
            intervals = sorted(_pair(rng, 700) for _ in range(rng.randint(1, 5)))
            since = intervals[0][0]
            until = rng.choice([10_000, max(end for _, end in intervals)])
            lines.append(LineCoverage("shop", "door", name, since, until, intervals))
        opening = rng.choice([None, [(100, 300), (420, 610)]])
        coverage = StoreCoverage(lines, now, opening)

        for _ in range(30):
            start, end = _pair(rng, 1000)
            assert coverage.share(start, end).fraction == _by_seconds(lines, now, opening, start, end)

    def test_an_interval_whose_end_was_reported_a_moment_ago_still_goes_on(self) -> None:
        line = LineCoverage("shop", "door", "entrance", 0, 1e9, [(0, 900)])

        assert StoreCoverage([line], 1000).share(0, 1000).fraction == 1
        assert StoreCoverage([line], 1200).share(0, 1200).fraction == 0.75


def _pair(rng: random.Random, before: int) -> tuple[int, int]:
    start, end = sorted(rng.sample(range(before), 2))
    return start, end


def _by_seconds(
    lines: list[LineCoverage], now: int, opening: list[tuple[int, int]] | None, start: int, end: int
) -> float | None:
    seconds = list(range(start, min(end, now)))
    if opening is not None:
        in_hours = [second for second in seconds if any(opens <= second < closes for opens, closes in opening)]
        seconds = in_hours or seconds
    if not seconds:
        return None
    share = 0.0
    for second in seconds:
        due = sum(line.since <= second < line.until for line in lines)
        counted = sum(any(first <= second < last for first, last in line.intervals) for line in lines)
        share += min(counted / max(due, 1), 1)
    return round(share / len(seconds), 3)


class TestGaps:
    async def test_what_was_not_counted_is_a_gap_and_what_is_to_come_is_nothing(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.cover(at(6), at(7, 30), camera="shop-door")
        await asked.cover(at(8), NOW, camera="shop-door")

        day = await asked.get(URL)

        hours = covered(day["series"][0])
        assert hours[:9] == [0, 0, 0, 0, 0, 0, 1, 0.5, 1]
        assert hours[9:] == [None] * 15
        assert day["counted_since"] == "2026-11-23T06:00:00Z"
        assert day["covered"] == day["series"][0]["covered"] == round((90 + 20) / 500, 3)

    async def test_a_zero_that_was_counted_is_a_zero(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.cover(at(0), NOW, camera="shop-door")

        by_line = await asked.get(URL, by="line")

        (series,) = by_line["series"]
        assert (series["camera"], series["line"], series["in"], series["covered"]) == ("shop-door", "entrance", 0, 1)

    async def test_one_of_two_doors_that_is_away_is_half_of_the_store(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.set_up(camera="back", lines=LINES)
        await asked.cover(at(6), NOW, camera="shop-door")
        await asked.cover(at(6), at(7), camera="back")

        day = await asked.get(URL)
        by_camera = await asked.get(URL, by="camera")

        assert covered(day["series"][0])[6:9] == [1, 0.5, 0.5]
        assert {series["camera"]: covered(series)[6:9] for series in by_camera["series"]} == {
            "back": [1, 0, 0], "shop-door": [1, 1, 1],
        }  # fmt: skip

    async def test_a_door_that_is_new_was_not_missing_before(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.set_up(camera="new", lines=LINES)
        await asked.cover(at(6), NOW, camera="shop-door")
        await asked.cover(at(8), NOW, camera="new")

        assert covered((await asked.get(URL))["series"][0])[6:9] == [1, 1, 1]

    async def test_a_line_that_is_no_longer_there_is_not_missing(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.cover(at(6), NOW, camera="shop-door")
        await asked.cover(at(6), at(7), camera="shop-door", lines=("removed",))

        assert covered((await asked.get(URL))["series"][0])[6:9] == [1, 1, 1]

    async def test_only_opening_hours_need_to_be_covered(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Europe/Paris", opening_hours='{"monday": [["09:00", "18:00"]]}')
        await asked.cover(at(8), NOW, camera="shop-door")

        day = await asked.get(URL, bucket="day")

        assert covered(day["series"][0]) == [1]

    async def test_lines_of_edge_devices_are_not_known_to_be_covered_or_not(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.cross(3, at=at(7), session="edge-1")

        day = await asked.get(URL, compare="weekday")

        assert (day["covered"], day["counted_since"], set(covered(day["series"][0]))) == (None, None, {None})
        assert day["compared"][0]["comparable"]["now"] == {"in": 3, "out": 0}

    async def test_a_promoted_run_covers_what_it_counted(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.cover(at(8), NOW, camera="shop-door")
        await asked.cover(at(6), at(8), camera="shop-door", run="anew")
        await asked.pool.execute(
            "INSERT INTO promotion (store, camera, line, since, until, run, at, who, note)"
            " VALUES ('shop', 'shop-door', 'entrance', $1, $2, 'anew', $2, 'me', '')",
            at(7), at(8),
        )  # fmt: skip

        assert covered((await asked.get(URL))["series"][0])[6:9] == [0, 1, 1]

    @pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
    async def test_nights_of_changing_clocks_are_covered_as_they_are_long(
        self, asked: Asked, day: str, hours: int
    ) -> None:
        await asked.set_up(time_zone="Europe/Paris")
        midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Paris"))
        begin = midnight.astimezone(UTC)
        await asked.cover(begin + timedelta(hours=1), begin + timedelta(hours=hours), camera="shop-door")

        night = await asked.get(URL, from_=day, to=day)
        whole = await asked.get(URL, from_=day, to=day, bucket="day")

        assert covered(night["series"][0]) == [0, *[1] * (hours - 1)]
        assert covered(whole["series"][0]) == [round((hours - 1) / hours, 3)]

    async def test_stores_in_several_time_zones_by_their_wall_clocks(self, asked: Asked) -> None:
        for store, time_zone, hour in (("paris", "Europe/Paris", 5), ("tokyo", "Asia/Tokyo", 21)):
            await asked.set_up(store, time_zone=time_zone)
            begin = at(hour, day=22 if hour > 12 else 23)
            await asked.cover(begin, begin + timedelta(hours=1), store=store, camera=f"{store}-door")

        day = await asked.get("/v1/organizations/default/footfall")

        assert covered(day["series"][0])[5:8] == [0, 1, 0]

    async def test_the_csv_has_it_too(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.cover(at(6), at(7, 30), camera="shop-door")

        csv = (await asked.client.get(f"{URL}.csv")).text.splitlines()

        assert [line.rpartition(",")[2] for line in (csv[0], *csv[6:11])] == ["covered", "0.0", "1.0", "0.5", "0.0", ""]


class TestComparisons:
    async def test_a_system_of_ten_minutes_compares_with_nothing(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.cover(NOW - timedelta(minutes=10), NOW, camera="shop-door")
        await asked.cross(40, at=NOW - timedelta(minutes=5), camera="shop-door")

        day = await asked.get(f"{URL}?compare=typical&compare=weekday&compare=year")

        for compared in day["compared"]:
            assert (compared["comparable"]["hours"], compared["comparable"]["share"]) == (0, 0)
            assert compared["comparable"]["now"] == compared["comparable"]["then"] == {"in": 0, "out": 0}

    async def test_only_hours_that_both_days_counted_are_compared(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.cover(at(5), NOW, camera="shop-door")
        await asked.cover(at(0) - WEEK, at(7) - WEEK, camera="shop-door")
        for hour in (5, 6, 7):
            await asked.cross(10, at=at(hour), camera="shop-door")
            await asked.cross(20, at=at(hour) - WEEK, camera="shop-door")

        (compared,) = (await asked.get(URL, compare="weekday"))["compared"]

        assert compared["comparable"] == {
            "now": {"in": 20, "out": 0}, "then": {"in": 40, "out": 0}, "hours": 2, "share": round(2 / 8.25, 3),
        }  # fmt: skip
        assert (compared["in"], compared["covered"]) == (60, round(7 / 24, 3))

    async def test_a_door_that_is_new_is_not_compared(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.set_up(camera="new", lines=LINES)
        for camera in ("shop-door", "new"):
            await asked.cover(at(0), NOW, camera=camera)
            await asked.cross(10, at=at(7), camera=camera)
        await asked.cover(at(0) - WEEK, at(0), camera="shop-door")
        await asked.cross(9, at=at(7) - WEEK, camera="shop-door")

        comparable = (await asked.get(URL, compare="weekday"))["compared"][0]["comparable"]

        assert (comparable["now"]["in"], comparable["then"]["in"], comparable["share"]) == (10, 9, 1)

    async def test_a_year_before_has_the_same_weekdays(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.cross(4, at=at(7) - 52 * WEEK, camera="shop-door")

        (compared,) = (await asked.get(URL, compare="year"))["compared"]

        assert (compared["from"], compared["in"]) == ("2025-11-24", 4)

    async def test_any_date_can_be_compared_with(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.cross(4, at=at(7, day=11), camera="shop-door")

        (compared,) = (await asked.get(URL, from_="2026-11-22", to="2026-11-23", compare="from:2026-11-10"))["compared"]

        assert (compared["from"], compared["to"], compared["in"]) == ("2026-11-10", "2026-11-11", 4)

    @pytest.mark.parametrize("choice", ["from:2026-02-30", "from:1969-01-01", "from:2999-12-31", "last", "from:", ""])
    async def test_a_choice_that_is_none_is_refused(self, asked: Asked, choice: str) -> None:
        await asked.set_up(lines=LINES)

        await asked.refused(URL, from_="2026-11-22", to="2026-11-23", compare=choice)


class TestTypical:
    async def weeks(self, asked: Asked, *ins: int, hour: int = 7) -> None:
        """So many people each Monday before, the newest first, all of it counted."""
        for week, number in enumerate(ins, 1):
            await asked.cover(at(0) - week * WEEK, at(0) - week * WEEK + DAY, camera="shop-door")
            await asked.cross(number, at=at(hour) - week * WEEK, camera="shop-door")

    async def test_a_typical_day_is_the_median_of_eight_with_its_quartiles(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await self.weeks(asked, 10, 20, 30, 40, 50, 60, 70, 900, 5000)
        await asked.cover(at(0), NOW, camera="shop-door")
        await asked.cross(36, at=at(7), camera="shop-door")

        (typical,) = (await asked.get(URL, compare="typical"))["compared"]

        assert (typical["days"], typical["from"], typical["to"]) == (8, "2026-09-28", "2026-11-16")
        assert (typical["in"], typical["so_far"]["then"]["in"], typical["so_far"]["now"]["in"]) == (45, 45, 36)
        hour = typical["buckets"][7]
        assert (hour["label"], hour["low"], hour["in"], hour["high"]) == ("2026-11-23T07:00", 28, 45, 62)
        assert typical["comparable"] == {
            "now": {"in": 36, "out": 0}, "then": {"in": 45, "out": 0}, "hours": 8.25, "share": 1,
        }  # fmt: skip

    async def test_days_that_were_not_counted_are_left_out(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await self.weeks(asked, 10, 20)
        await asked.cover(at(0) - 3 * WEEK, at(9) - 3 * WEEK, camera="shop-door")  # it died at nine
        await asked.cross(7, at=at(7) - 3 * WEEK, camera="shop-door")

        (typical,) = (await asked.get(URL, compare="typical"))["compared"]

        assert (typical["days"], typical["in"]) == (2, 15)

    async def test_without_a_day_there_are_no_figures(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)

        (typical,) = (await asked.get(URL, compare="typical"))["compared"]

        assert (typical["days"], typical["buckets"], typical["comparable"]["hours"]) == (0, [], 0)

    async def test_typical_days_of_a_week_add_up(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await self.weeks(asked, 10, 20, 30)
        for week in (1, 2, 3):
            tuesday = at(0) - week * WEEK + DAY
            await asked.cover(tuesday, tuesday + DAY, camera="shop-door")
            await asked.cross(week, at=tuesday + timedelta(hours=12), camera="shop-door")

        for bucket in ("hour", "day", "week"):
            answer = await asked.get(URL, from_="2026-11-23", to="2026-11-24", bucket=bucket, compare="typical")
            (typical,) = answer["compared"]
            assert typical["in"] == sum(each["in"] for each in typical["buckets"]) == 22

    async def test_a_day_that_is_half_counted_is_compared_by_that_half(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await self.weeks(asked, 10, 20, 30)
        await self.weeks(asked, 4, 5, 6, hour=3)
        await asked.cover(at(6), NOW, camera="shop-door")
        await asked.count(crossing(1, at=at(7), camera="shop-door"))

        comparable = (await asked.get(URL, compare="typical"))["compared"][0]["comparable"]

        assert (comparable["then"]["in"], comparable["hours"]) == (20, 2.25)


class TestProfile:
    PROFILE = "/v1/stores/shop/profile"

    async def test_each_hour_of_the_week_has_its_median_and_quartiles(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES, time_zone="Europe/Paris")
        for week, ins in enumerate((10, 20, 30, 40), 1):
            midnight = at(23, day=22) - week * WEEK  # a Monday's in Paris
            await asked.cover(midnight, midnight + DAY, camera="shop-door")
            await asked.cross(ins, 2, at=at(7) - week * WEEK, camera="shop-door")

        profile = await asked.get(self.PROFILE, from_="2026-10-01", to="2026-11-23")

        hours = {(hour["weekday"], hour["hour"]): hour for hour in profile["hours"]}
        assert set(hours) == {(1, hour) for hour in range(24)}
        assert hours[1, 8] == {"weekday": 1, "hour": 8, "days": 4, "in": 25, "out": 2, "low": 18, "high": 32}
        assert hours[1, 9] == {"weekday": 1, "hour": 9, "days": 4, "in": 0, "out": 0, "low": 0, "high": 0}

    async def test_an_hour_that_is_under_way_or_was_not_counted_is_left_out(self, asked: Asked) -> None:
        await asked.set_up(lines=LINES)
        await asked.cover(at(6), at(7, 30), camera="shop-door")
        await asked.cover(at(8), NOW, camera="shop-door")

        profile = await asked.get(self.PROFILE)

        assert [(hour["weekday"], hour["hour"]) for hour in profile["hours"]] == [(1, 6)]
        assert profile["counted_since"] == "2026-11-23T06:00:00Z"

    async def test_a_store_without_a_camera_has_no_hours(self, asked: Asked) -> None:
        await asked.set_up()

        assert (await asked.get(self.PROFILE))["hours"] == []
