"""`GET /v1/stores/{store}/footfall` and `GET /v1/organizations/{organization}/footfall`."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from contracts.identity import Direction
from tests.api.asked import Asked
from tests.persistence.builders import crossing

URL = "/v1/stores/shop/footfall"
NOW = datetime(2026, 11, 23, 8, 20, tzinfo=UTC)  # the clock's, a Monday

NIGHTS = [
    pytest.param("Africa/Tunis", date(2026, 3, 29), 24, id="Tunis, where clocks stay"),
    pytest.param("Europe/Paris", date(2026, 3, 29), 23, id="Paris, clocks forward"),
    pytest.param("Europe/Paris", date(2026, 10, 25), 25, id="Paris, clocks back"),
    pytest.param("America/St_Johns", date(2026, 3, 8), 23, id="St John's, clocks forward"),
    pytest.param("America/St_Johns", date(2026, 11, 1), 25, id="St John's, clocks back"),
    pytest.param("Pacific/Apia", date(2011, 12, 29), 24, id="Apia, before the day that never was"),
    pytest.param("Pacific/Apia", date(2011, 12, 31), 24, id="Apia, after it"),
    pytest.param("Pacific/Apia", date(2020, 9, 27), 23, id="Apia, clocks forward"),
    pytest.param("Pacific/Apia", date(2021, 4, 4), 25, id="Apia, clocks back for the last time"),
]


def busy(buckets: list[dict[str, Any]], name: str = "label") -> dict[str, tuple[int, int]]:
    """INs and OUTs of the buckets that have any."""
    return {one[name]: (one["in"], one["out"]) for one in buckets if one["in"] or one["out"]}


class TestLocalTime:
    @pytest.mark.parametrize(("time_zone", "day", "hours"), NIGHTS)
    async def test_each_crossing_of_a_night_is_in_its_own_quarter_hour_hour_and_day(
        self, asked: Asked, time_zone: str, day: date, hours: int
    ) -> None:
        """Crossings around two midnights and each change of clocks: written by the writer, read by the API."""
        await asked.set_up(time_zone=time_zone)
        where, noon = ZoneInfo(time_zone), datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        moments = [noon + timedelta(minutes=7 * n, seconds=59) for n in range(-400, 400)]
        await asked.count(*[crossing(n, at=at) for n, at in enumerate(moments)])
        clocks = [at.astimezone(where) for at in moments]
        expected = {
            "15m": Counter(at.replace(minute=at.minute // 15 * 15, second=0).isoformat() for at in clocks),
            "hour": Counter(at.replace(minute=0, second=0).isoformat() for at in clocks),
            "day": Counter(at.date().isoformat() for at in clocks),
        }

        for bucket, length in {"15m": 4 * hours, "hour": hours, "day": 1}.items():
            answer = await asked.get(URL, from_=day, to=day, bucket=bucket)
            (series,) = answer["series"]
            assert len(series["buckets"]) == length
            assert answer["in"] == series["in"] == expected["day"][day.isoformat()]
            for one in series["buckets"]:
                assert one["in"] == expected[bucket][one["label"] if bucket == "day" else one["start"]], one

    async def test_a_date_that_never_was_has_no_bucket(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Pacific/Apia")
        jump = datetime(2011, 12, 30, 10, tzinfo=UTC)
        await asked.cross(1, at=jump - timedelta(seconds=1))
        await asked.cross(2, at=jump)

        days = await asked.get(URL, from_="2011-12-29", to="2011-12-31", bucket="day")
        gone = await asked.get(URL, from_="2011-12-30", to="2011-12-30", bucket="hour", peak=True)

        assert busy(days["series"][0]["buckets"]) == {"2011-12-29": (1, 0), "2011-12-31": (2, 0)}
        assert len(days["series"][0]["buckets"]) == 2
        assert (gone["series"][0]["buckets"], gone["peak"]) == ([], None)

    async def test_an_hour_that_comes_twice_is_two_with_their_offsets(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Europe/Paris")
        summer = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        await asked.cross(2, at=summer)
        await asked.cross(1, at=summer + timedelta(hours=1))

        day = await asked.get(URL, from_="2026-10-25", to="2026-10-25", peak=True)

        first, second = "2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"
        assert busy(day["series"][0]["buckets"], "start") == {first: (2, 0), second: (1, 0)}
        assert (day["peak"]["start"], day["peak"]["label"]) == (first, "2026-10-25T02:00")

    async def test_days_follow_a_store_to_another_time_zone(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Europe/Paris")
        await asked.cross(1, at=datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
        await asked.set_up(time_zone="America/St_Johns")
        await asked.cross(1, at=datetime(2026, 11, 21, 12, tzinfo=UTC))

        for bucket in ("day", "hour"):
            days = await asked.get(URL, from_="2026-11-20", to="2026-11-21", bucket=bucket)
            assert {label[:10] for label in busy(days["series"][0]["buckets"])} == {"2026-11-20", "2026-11-21"}


class TestBuckets:
    async def test_a_week_begins_on_monday_and_is_cut_at_the_periods_ends(self, asked: Asked) -> None:
        await asked.set_up()
        for day in (1, 2, 8, 9):  # November 2026 begins with a Sunday
            await asked.cross(1, at=datetime(2026, 11, day, 12, tzinfo=UTC))

        weeks = await asked.get(URL, from_="2026-11-01", to="2026-11-10", bucket="week")

        assert [
            (one["label"], one["start"][:10], one["end"][:10], one["in"]) for one in weeks["series"][0]["buckets"]
        ] == [
            ("2026-W44", "2026-11-01", "2026-11-02", 1),
            ("2026-W45", "2026-11-02", "2026-11-09", 2),
            ("2026-W46", "2026-11-09", "2026-11-11", 1),
        ]

    async def test_months_are_the_calendars(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Africa/Tunis")
        await asked.cross(1, at=datetime(2026, 1, 31, 22, 59, tzinfo=UTC))
        await asked.cross(2, at=datetime(2026, 1, 31, 23, tzinfo=UTC))

        months = await asked.get(URL, from_="2026-01-01", to="2026-02-28", bucket="month")

        assert busy(months["series"][0]["buckets"]) == {"2026-01": (1, 0), "2026-02": (2, 0)}

    async def test_today_is_asked_for_where_nothing_is_said(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Africa/Tunis")
        await asked.cross(3, 1, at=NOW)

        today = await asked.get(URL)

        assert (today["from"], today["to"], today["bucket"], today["store"]) == (
            "2026-11-23",
            "2026-11-23",
            "hour",
            "shop",
        )
        assert (today["in"], today["out"], len(today["series"][0]["buckets"])) == (3, 1, 24)
        assert busy(today["series"][0]["buckets"]) == {"2026-11-23T09:00": (3, 1)}

    async def test_series_by_camera_and_by_line(self, asked: Asked) -> None:
        await asked.set_up()
        for camera, line, ins in (("door", "left", 1), ("door", "right", 2), ("gate", "left", 4)):
            await asked.cross(ins, at=NOW, camera=camera, line=line)

        by = {by: (await asked.get(URL, by=by))["series"] for by in ("total", "camera", "line")}

        assert [(one["camera"], one["line"], one["in"]) for one in by["total"]] == [(None, None, 7)]
        assert [(one["camera"], one["line"], one["in"]) for one in by["camera"]] == [
            ("door", None, 3),
            ("gate", None, 4),
        ]
        assert [(one["camera"], one["line"], one["in"]) for one in by["line"]] == [
            ("door", "left", 1), ("door", "right", 2), ("gate", "left", 4),
        ]  # fmt: skip

    async def test_all_sizes_add_up_to_the_same(self, asked: Asked) -> None:
        await asked.set_up(time_zone="America/St_Johns")
        rng, start = random.Random(4), datetime(2026, 2, 25, tzinfo=UTC)
        span = timedelta(days=16)
        await asked.count(
            *[crossing(n, at=start + span * rng.random(), direction=rng.choice(list(Direction))) for n in range(900)]
        )
        period = {"from_": "2026-03-01", "to": "2026-03-12"}

        answers = [await asked.get(URL, bucket=bucket, **period) for bucket in ("15m", "hour", "day", "week", "month")]

        assert len({(one["in"], one["out"]) for one in answers}) == 1
        assert 0 < answers[0]["in"] < 900
        for one in answers:
            assert sum(bucket["in"] for bucket in one["series"][0]["buckets"]) == one["in"]

    async def test_a_replay_is_counted_apart(self, asked: Asked) -> None:
        await asked.set_up()
        await asked.cross(2, at=NOW, run="moved-line")

        assert [(await asked.get(URL, run=run))["in"] for run in ("live", "moved-line")] == [0, 2]


class TestComparison:
    async def test_whole_and_by_bucket(self, asked: Asked) -> None:
        await asked.set_up()
        for day, ins in (("2026-03-01", 1), ("2026-02-01", 2), ("2026-02-28", 3), ("2026-01-31", 9)):
            await asked.cross(ins, at=datetime.fromisoformat(f"{day}T12:00Z"))

        answer = await asked.get(URL, from_="2026-03-01", to="2026-03-31", bucket="day", compare="previous")

        (compared,) = answer["compared"]
        assert (compared["against"], compared["from"], compared["to"]) == ("previous", "2026-02-01", "2026-02-28")
        assert (answer["in"], compared["in"]) == (1, 5)
        assert busy(compared["buckets"]) == {"2026-02-01": (2, 0), "2026-02-28": (3, 0)}

    async def test_a_day_that_is_not_over_is_compared_until_the_same_time(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Africa/Tunis")  # 09:20
        for weeks in (0, 1):
            midnight = datetime(2026, 11, 22, 23, tzinfo=UTC) - weeks * timedelta(days=7)
            for minutes, ins in ((9 * 60 + 14, 1), (9 * 60 + 16, 10), (20 * 60, 100 * weeks)):
                await asked.cross(ins, at=midnight + timedelta(minutes=minutes))

        answer = await asked.get(URL, compare="weekday")

        (compared,) = answer["compared"]
        assert (answer["in"], compared["in"]) == (11, 111)
        assert compared["so_far"] == {
            "now": {"in": 1, "out": 0, "until": "2026-11-23T09:15:00+01:00"},
            "then": {"in": 1, "out": 0, "until": "2026-11-16T09:15:00+01:00"},
        }

    @pytest.mark.parametrize("open_only", [False, True])
    async def test_a_month_that_is_not_over_is_compared_until_the_same_day_and_time(
        self, asked: Asked, open_only: bool
    ) -> None:
        await asked.set_up(
            time_zone="Africa/Tunis", opening_hours='{"monday": [["00:00", "24:00"]], "friday": [["00:00", "24:00"]]}'
        )
        for month, day, hour, ins in ((11, 2, 12, 1), (11, 23, 8, 2), (10, 5, 12, 4), (10, 23, 8, 8), (10, 23, 9, 16)):
            await asked.cross(ins, at=datetime(2026, month, day, hour, 5, tzinfo=UTC))

        answer = await asked.get(
            URL, from_="2026-11-01", to="2026-11-30", bucket="day", compare="previous", open_only=open_only
        )

        so_far = answer["compared"][0]["so_far"]
        assert so_far["then"]["until"] == "2026-10-23T09:15:00+01:00"
        assert (so_far["now"]["in"], so_far["then"]["in"], answer["compared"][0]["in"]) == (3, 12, 28)

    async def test_the_last_day_of_a_month_is_compared_with_the_whole_of_a_shorter_one(self, asked: Asked) -> None:
        await asked.set_up()
        asked.clock.now = datetime(2026, 3, 31, 10, tzinfo=UTC)
        await asked.cross(5, at=datetime(2026, 2, 28, 23, tzinfo=UTC))

        answer = await asked.get(URL, from_="2026-03-01", to="2026-03-31", bucket="day", compare="previous")

        then = answer["compared"][0]["so_far"]["then"]
        assert (then["in"], then["until"]) == (5, "2026-03-01T00:00:00Z")

    async def test_what_is_over_or_to_come_has_no_so_far(self, asked: Asked) -> None:
        await asked.set_up()
        for day in ("2026-11-22", "2026-11-24"):
            answer = await asked.get(URL, from_=day, to=day, compare="previous")
            assert answer["compared"][0]["so_far"] is None

    async def test_both_comparisons_at_once_in_their_order(self, asked: Asked) -> None:
        await asked.set_up()
        answer = await asked.client.get(f"{URL}?compare=weekday&compare=previous")
        assert [one["against"] for one in answer.json()["compared"]] == ["weekday", "previous"]


class TestPeak:
    async def test_the_hour_with_the_most_ins_the_first_of_several(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Asia/Kathmandu")
        for day, ins, outs in ((20, 3, 0), (21, 5, 0), (22, 5, 90)):
            await asked.cross(ins, outs, at=datetime(2026, 11, day, 6, tzinfo=UTC))

        peak = (await asked.get(URL, from_="2026-11-01", to="2026-11-30", bucket="week", peak=True))["peak"]

        assert (peak["label"], peak["start"], peak["in"]) == ("2026-11-21T11:00", "2026-11-21T11:00:00+05:45", 5)

    async def test_without_an_in_there_is_none(self, asked: Asked) -> None:
        await asked.set_up()
        await asked.cross(0, 4, at=NOW)

        assert (await asked.get(URL, peak=True))["peak"] is None


class TestOpeningHours:
    HOURS = '{"monday": [["09:00", "12:20"], ["14:00", "24:00"]], "saturday": [["10:00", "18:00"]]}'

    async def test_only_quarter_hours_in_which_the_store_is_open(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Europe/Paris", opening_hours=self.HOURS)
        counted = {
            "2026-11-23T08:59:59+01:00": 0, "2026-11-23T09:00:00+01:00": 1, "2026-11-23T12:29:00+01:00": 1,
            "2026-11-23T12:30:00+01:00": 0, "2026-11-23T23:59:00+01:00": 1, "2026-11-24T10:00:00+01:00": 0,
            "2026-11-28T10:00:00+01:00": 1, "2026-11-28T18:00:00+01:00": 0,
        }  # fmt: skip
        for moment in counted:
            await asked.cross(1, at=datetime.fromisoformat(moment))

        for bucket in ("15m", "hour", "day", "week"):
            week = await asked.get(URL, from_="2026-11-23", to="2026-11-29", bucket=bucket, open_only=True)
            assert week["in"] == sum(counted.values()), bucket
        assert busy(week["series"][0]["buckets"]) == {"2026-W48": (4, 0)}

    async def test_a_store_of_which_nothing_is_said_is_always_open(self, asked: Asked) -> None:
        await asked.set_up()
        await asked.cross(2, at=NOW)

        assert (await asked.get(URL, open_only=True))["in"] == 2

    async def test_opening_hours_are_the_wall_clocks_on_the_night_of_a_change(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Europe/Paris", opening_hours='{"sunday": [["00:00", "03:00"]]}')
        back = datetime(2026, 10, 25, 1, tzinfo=UTC)
        for hours in (-4, -3, -2, -1, 0, 1, 2):  # 23:30 23:30 00:30 … 02:30 02:30 03:30, on wall clocks
            await asked.cross(1, at=back + timedelta(hours=hours, minutes=30))

        day = await asked.get(URL, from_="2026-10-25", to="2026-10-25", open_only=True)

        assert (day["in"], len(busy(day["series"][0]["buckets"], "start"))) == (4, 4)


class TestOrganization:
    async def test_every_stores_counts_are_those_of_its_own_day_and_hours(self, asked: Asked) -> None:
        for store, time_zone in (("north", "Europe/Paris"), ("south", "Africa/Tunis"), ("west", "America/St_Johns")):
            await asked.set_up(store, organization="chain", time_zone=time_zone)
            noon = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)
            await asked.cross(1, at=noon, store=store)
        await asked.set_up("other", organization="others")
        await asked.cross(9, at=datetime(2026, 7, 1, 12, tzinfo=UTC), store="other")

        url, day = "/v1/organizations/chain/footfall", {"from_": "2026-07-01", "to": "2026-07-01"}
        total, by = (
            await asked.get(url, compare="weekday", peak=True, **day),
            await asked.get(url, by="store", bucket="day", **day),
        )

        assert (total["organization"], total["time_zone"], total["in"]) == ("chain", None, 3)
        assert busy(total["series"][0]["buckets"], "start") == {"2026-07-01T12:00:00": (3, 0)}
        assert total["peak"]["label"] == "2026-07-01T12:00"
        assert [(one["store"], one["in"]) for one in by["series"]] == [("north", 1), ("south", 1), ("west", 1)]

    async def test_a_night_of_a_change_has_24_hours_on_the_wall_clocks_of_several_zones(self, asked: Asked) -> None:
        for store, time_zone in (("north", "Europe/Paris"), ("south", "Africa/Tunis")):
            await asked.set_up(store, organization="chain", time_zone=time_zone)
        for minutes in (0, 60, 120, 180):  # in Paris 02:00 comes twice
            await asked.cross(1, at=datetime(2026, 10, 25, 0, tzinfo=UTC) + timedelta(minutes=minutes), store="north")

        night = await asked.get("/v1/organizations/chain/footfall", from_="2026-10-25", to="2026-10-25")

        buckets = night["series"][0]["buckets"]
        assert len(buckets) == 24
        assert [one["in"] for one in buckets[:5]] == [0, 0, 2, 1, 1]

    async def test_stores_of_one_zone_keep_their_offsets(self, asked: Asked) -> None:
        for store in ("north", "south"):
            await asked.set_up(store, organization="chain", time_zone="Europe/Paris")
            await asked.cross(1, at=datetime(2026, 10, 25, 1, 30, tzinfo=UTC), store=store)

        night = await asked.get("/v1/organizations/chain/footfall", from_="2026-10-25", to="2026-10-25", peak=True)

        assert night["time_zone"] == "Europe/Paris"
        assert busy(night["series"][0]["buckets"], "start") == {"2026-10-25T02:00:00+01:00": (2, 0)}
        assert night["peak"]["start"] == "2026-10-25T02:00:00+01:00"

    async def test_each_store_is_compared_until_its_own_clocks_time(self, asked: Asked) -> None:
        for store, time_zone in (("east", "Asia/Kathmandu"), ("west", "America/St_Johns")):
            await asked.set_up(store, organization="chain", time_zone=time_zone)
            for weeks in (0, 1):
                await asked.cross(1, at=NOW - weeks * timedelta(days=7, minutes=10), store=store)
                await asked.cross(5 * weeks, at=NOW - weeks * timedelta(days=7, minutes=-30), store=store)

        answer = await asked.get("/v1/organizations/chain/footfall", compare="weekday")

        so_far = answer["compared"][0]["so_far"]
        assert (so_far["now"], so_far["then"]) == (
            {"in": 0, "out": 0, "until": None},
            {"in": 2, "out": 0, "until": None},
        )

    async def test_an_unknown_organization(self, asked: Asked) -> None:
        answer = await asked.client.get("/v1/organizations/nobody/footfall")

        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


class TestRefusals:
    @pytest.mark.parametrize(
        ("query", "told"),
        [
            ({"from_": "2026-11-24", "to": "2026-11-23"}, "from 2026-11-24 is after to 2026-11-23"),
            ({"from_": "2026-01-01", "to": "2026-11-23", "bucket": "15m"}, "31392 buckets of 15m; at most 2000"),
            ({"from_": "1990-01-01", "to": "2026-11-23", "bucket": "month"}, "at most 3660"),
            ({"from_": "yesterday"}, "from: "),
            ({"by": "store"}, "by: "),
            ({"compare": "tomorrow"}, "compare.0: "),
            ({"until": "2026-11-23"}, "until: Extra inputs are not permitted"),
        ],
    )
    async def test_what_makes_no_sense_is_told(self, asked: Asked, query: dict[str, str], told: str) -> None:
        await asked.set_up()
        assert told in await asked.refused(URL, **query)

    async def test_an_unknown_store(self, asked: Asked) -> None:
        answer = await asked.client.get("/v1/stores/nowhere/footfall")

        assert answer.status_code == 404
