"""A store's day, in quarters and hours of its own clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from services.api.counts.buckets import by_hour, by_quarter, day_bounds


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
    quarters = by_quarter(day, ZoneInfo(zone), {})

    assert len(quarters) == 4 * hours
    assert len(by_hour(quarters)) == hours


def test_half_an_hour_of_summer_time_makes_half_an_hour_bucket() -> None:
    hours = by_hour(by_quarter(date(2026, 10, 4), ZoneInfo("Australia/Lord_Howe"), {}))

    lengths = [hour.end.astimezone(UTC) - hour.start.astimezone(UTC) for hour in hours]
    assert sum(lengths, timedelta()) == timedelta(hours=23.5)
    assert min(lengths) == timedelta(minutes=30)


def test_quarters_touch_and_cover_the_day() -> None:
    day, zone = date(2026, 10, 25), ZoneInfo("Europe/Paris")
    quarters = by_quarter(day, zone, {})

    assert (quarters[0].start, quarters[-1].end) == day_bounds(day, zone)
    assert all(one.end == following.start for one, following in pairwise(quarters))


def test_an_hour_that_comes_twice_keeps_its_counts_apart() -> None:
    summer = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 +02:00
    winter = summer + timedelta(hours=1)  # 02:30 +01:00

    hours = by_hour(by_quarter(date(2026, 10, 25), ZoneInfo("Europe/Paris"), {summer: (3, 1), winter: (5, 0)}))

    twice = [hour for hour in hours if hour.start.hour == 2]
    assert [(hour.start.isoformat(), hour.ins, hour.outs) for hour in twice] == [
        ("2026-10-25T02:00:00+02:00", 3, 1),
        ("2026-10-25T02:00:00+01:00", 5, 0),
    ]


def test_a_count_before_the_local_midnight_is_of_the_day_before() -> None:
    counted = {datetime(2026, 11, 22, 22, 45, tzinfo=UTC): (1, 0), datetime(2026, 11, 22, 23, 0, tzinfo=UTC): (0, 1)}

    quarters = by_quarter(date(2026, 11, 23), ZoneInfo("Africa/Tunis"), counted)

    assert [(one.ins, one.outs) for one in quarters if one.ins or one.outs] == [(0, 1)]
    assert quarters[0].outs == 1
