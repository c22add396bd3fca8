"""Periods of local dates, what they are compared with, and their buckets."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from services.api.history.period import Against, DateRange, Size, hour_of, slots


def period(first: str, last: str) -> DateRange:
    return DateRange(date.fromisoformat(first), date.fromisoformat(last))


PREVIOUS, WEEKDAY = Against.PREVIOUS, Against.WEEKDAY


@pytest.mark.parametrize(
    ("this", "against", "other"),
    [
        pytest.param(("2026-11-23", "2026-11-23"), PREVIOUS, ("2026-11-22", "2026-11-22"), id="a day: the day before"),
        pytest.param(("2026-11-23", "2026-11-23"), WEEKDAY, ("2026-11-16", "2026-11-16"), id="a day: a week before"),
        pytest.param(("2026-11-16", "2026-11-22"), PREVIOUS, ("2026-11-09", "2026-11-15"), id="a week: the one before"),
        pytest.param(("2026-11-16", "2026-11-22"), WEEKDAY, ("2026-11-09", "2026-11-15"), id="a week: the same"),
        pytest.param(
            ("2026-11-14", "2026-11-23"), WEEKDAY, ("2026-10-31", "2026-11-09"), id="ten days: two weeks before"
        ),
        pytest.param(
            ("2026-03-01", "2026-03-31"), PREVIOUS, ("2026-02-01", "2026-02-28"), id="a month: the one before"
        ),
        pytest.param(
            ("2026-03-01", "2026-03-31"), WEEKDAY, ("2026-01-25", "2026-02-24"), id="a month: five weeks before"
        ),
        pytest.param(("2026-01-01", "2026-03-31"), PREVIOUS, ("2025-10-01", "2025-12-31"), id="three months"),
        pytest.param(("2028-01-01", "2028-12-31"), PREVIOUS, ("2027-01-01", "2027-12-31"), id="a leap year"),
        pytest.param(
            ("2026-11-01", "2026-11-23"), PREVIOUS, ("2026-10-09", "2026-10-31"), id="a part of a month: days"
        ),
    ],
)
def test_a_period_is_compared_with(this: tuple[str, str], against: Against, other: tuple[str, str]) -> None:
    assert period(*this).before(against) == period(*other)


@pytest.mark.parametrize(
    ("this", "moment", "then"),
    [
        pytest.param(("2026-11-23", "2026-11-23"), "2026-11-23T09:15", "2026-11-22T09:15", id="of a day the same time"),
        pytest.param(
            ("2026-11-01", "2026-11-30"), "2026-11-23T09:15", "2026-10-23T09:15", id="of a month the same day"
        ),
        pytest.param(
            ("2026-03-01", "2026-03-31"), "2026-03-30T09:15", "2026-03-01T00:00", id="of a longer month: its end"
        ),
        pytest.param(
            ("2024-01-01", "2024-12-31"), "2024-02-29T09:15", "2023-03-01T00:00", id="of a leap day: February's end"
        ),
    ],
)
def test_as_far_into_the_period_before(this: tuple[str, str], moment: str, then: str) -> None:
    asked = period(*this)

    found = asked.counterpart(datetime.fromisoformat(moment), asked.before(PREVIOUS))

    assert found == datetime.fromisoformat(then)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        pytest.param("Europe/Paris", "2026-03-29", 23, id="clocks go forward"),
        pytest.param("Europe/Paris", "2026-10-25", 25, id="clocks go back"),
        pytest.param("Africa/Cairo", "2026-04-24", 23, id="clocks jump over midnight"),
        pytest.param("Australia/Lord_Howe", "2026-10-04", 24, id="half an hour is skipped: an hour of 30 minutes"),
        pytest.param("Australia/Lord_Howe", "2026-04-05", 25, id="half an hour comes twice"),
        pytest.param(
            "America/St_Johns", "2010-11-07", 25, id="clocks go back over midnight: one quarter, then the day"
        ),
    ],
)
def test_hours_of_a_day(zone: str, day: str, hours: int) -> None:
    where, asked = ZoneInfo(zone), period(day, day)

    found = slots(asked, Size.HOUR, where)

    assert len(found) == hours
    assert len({slot.key for slot in found}) == hours
    assert all(hour_of(slot.key, where) == slot for slot in found)
    assert all(slot.start in asked for slot in found)


def test_on_wall_clocks_alone_every_day_has_24_hours() -> None:
    found = slots(period("2026-10-25", "2026-10-25"), Size.HOUR, None)

    assert [slot.start for slot in found] == [datetime(2026, 10, 25, hour) for hour in range(24)]  # noqa: DTZ001  # a wall clock's
    assert hour_of(found[2].key, None) == found[2]
