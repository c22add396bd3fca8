"""A store's day, in quarters and hours of its own clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from services.api.counts.buckets import day_buckets
from services.api.counts.schemas import BucketOut, Period
from services.api.history.repository import Part, Row
from services.kit.local_time import instant


def buckets(
    day: date, zone: str, period: Period, counted: Mapping[datetime, tuple[int, int]] | None = None
) -> list[BucketOut]:
    """The buckets of a day with counts (INs, OUTs) by the quarter's start in UTC."""
    where = ZoneInfo(zone)
    rows = []
    for start, (ins, outs) in (counted or {}).items():
        offset = start.astimezone(where).utcoffset()
        assert offset is not None
        shift = int(offset.total_seconds())
        rows.append(Row(("door", "line"), ((int(start.timestamp()) + shift) // 900, shift), ins, outs, Part.PERIOD))
    return day_buckets(day, where, rows, period)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        pytest.param("Africa/Tunis", date(2026, 11, 23), 24, id="no summer time, no surprise"),
        pytest.param("Europe/Paris", date(2026, 3, 29), 23, id="clocks go forward: the hour at 2 is missing"),
        pytest.param("Europe/Paris", date(2026, 10, 25), 25, id="clocks go back: the hour at 2 comes twice"),
        pytest.param("Africa/Cairo", date(2026, 4, 24), 23, id="clocks jump over midnight: the day begins at 1"),
        pytest.param("Asia/Kathmandu", date(2026, 11, 23), 24, id="an offset of 5:45"),
    ],
)
def test_hours_of_a_day(zone: str, day: date, hours: int) -> None:
    assert len(buckets(day, zone, Period.QUARTER)) == 4 * hours
    assert len(buckets(day, zone, Period.HOUR)) == hours


def test_half_an_hour_of_summer_time_makes_half_an_hour_bucket() -> None:
    hours = buckets(date(2026, 10, 4), "Australia/Lord_Howe", Period.HOUR)

    lengths = [hour.end.astimezone(UTC) - hour.start.astimezone(UTC) for hour in hours]
    assert sum(lengths, timedelta()) == timedelta(hours=23.5)
    assert min(lengths) == timedelta(minutes=30)


def test_quarters_touch_and_cover_the_day() -> None:
    day, zone = date(2026, 10, 25), "Europe/Paris"
    quarters = buckets(day, zone, Period.QUARTER)

    midnights = [instant(day + timedelta(days=n), time(), ZoneInfo(zone)) for n in range(2)]
    assert [quarters[0].start, quarters[-1].end] == midnights
    assert all(one.end == following.start for one, following in pairwise(quarters))


def test_an_hour_that_comes_twice_keeps_its_counts_apart() -> None:
    summer = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 +02:00
    winter = summer + timedelta(hours=1)  # 02:30 +01:00

    hours = buckets(date(2026, 10, 25), "Europe/Paris", Period.HOUR, {summer: (3, 1), winter: (5, 0)})

    twice = [hour for hour in hours if hour.start.hour == 2]
    assert [(hour.start.isoformat(), hour.in_, hour.out) for hour in twice] == [
        ("2026-10-25T02:00:00+02:00", 3, 1),
        ("2026-10-25T02:00:00+01:00", 5, 0),
    ]


def test_the_quarters_of_an_hour_are_added_up() -> None:
    nine = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # in Tunis
    counted = {nine + n * timedelta(minutes=15): (n, 1) for n in range(4)}

    hours = buckets(date(2026, 11, 23), "Africa/Tunis", Period.HOUR, counted)

    assert [(hour.start.hour, hour.in_, hour.out) for hour in hours if hour.in_] == [(9, 6, 4)]


def test_a_count_before_the_local_midnight_is_of_the_day_before() -> None:
    counted = {datetime(2026, 11, 22, 22, 45, tzinfo=UTC): (1, 0), datetime(2026, 11, 22, 23, 0, tzinfo=UTC): (0, 1)}

    quarters = buckets(date(2026, 11, 23), "Africa/Tunis", Period.QUARTER, counted)

    assert [(one.in_, one.out) for one in quarters if one.in_ or one.out] == [(0, 1)]
    assert quarters[0].out == 1
