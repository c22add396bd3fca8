"""The rules of local time in quarter hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kit.local_time import QUARTER, instant, next_quarter, offset_periods, quarter_of

ZONES = (
    *("Africa/Tunis", "Europe/Paris", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu", "Australia/Lord_Howe"),
    *("Africa/Casablanca", "Asia/Beirut", "America/Havana", "Pacific/Kiritimati", "UTC"),
)


def hours(zone: str, first: date, last: date | None = None) -> float:
    found = offset_periods(ZoneInfo(zone), first, last or first)
    return sum((piece.end - piece.start for piece in found), timedelta()) / timedelta(hours=1)


@pytest.mark.parametrize(
    ("zone", "day", "long"),
    [
        pytest.param("Africa/Tunis", date(2026, 3, 29), 24, id="Tunis: no summer time"),
        pytest.param("Europe/Paris", date(2026, 3, 29), 23, id="Paris: clocks go forward"),
        pytest.param("Europe/Paris", date(2026, 10, 25), 25, id="Paris: clocks go back"),
        pytest.param("America/St_Johns", date(2026, 3, 8), 23, id="St John's: forward, at an offset of half an hour"),
        pytest.param("America/St_Johns", date(2026, 11, 1), 25, id="St John's: back"),
        pytest.param("Pacific/Apia", date(2011, 12, 29), 24, id="Apia: the day before the one that never was"),
        pytest.param("Pacific/Apia", date(2011, 12, 30), 0, id="Apia: the day that never was"),
        pytest.param("Pacific/Apia", date(2011, 12, 31), 24, id="Apia: the day after it"),
        pytest.param("Pacific/Apia", date(2020, 9, 27), 23, id="Apia: summer time, until 2021"),
        pytest.param("Pacific/Apia", date(2021, 4, 4), 25, id="Apia: the last change of its clocks"),
        pytest.param("Pacific/Apia", date(2021, 9, 26), 24, id="Apia: no summer time any more"),
        pytest.param("Australia/Lord_Howe", date(2026, 10, 4), 23.5, id="Lord Howe: half an hour of summer time"),
        pytest.param("Asia/Beirut", date(2026, 10, 24), 25, id="Beirut: its last hour comes twice"),
        pytest.param("America/Havana", date(2026, 3, 8), 23, id="Havana: clocks jump over midnight"),
    ],
)
def test_a_date_is_as_long_as_it_is(zone: str, day: date, long: float) -> None:
    assert hours(zone, day) == long


@settings(max_examples=60)
@given(st.sampled_from(ZONES), st.dates(date(1991, 1, 1), date(2040, 1, 1)), st.integers(0, 500))
def test_stretches_hold_each_quarter_of_their_dates_once(zone: str, first: date, days: int) -> None:
    where, last = ZoneInfo(zone), first + timedelta(days=days)
    found = offset_periods(where, first, last)

    assert all(one.end <= following.start for one, following in pairwise(found))
    for piece in found:
        for moment in (piece.start, piece.end - QUARTER):
            local = moment.astimezone(where)
            assert local.utcoffset() == piece.offset
            assert first <= local.date() <= last
    for outside in (found[0].start - QUARTER, found[-1].end):
        assert not first <= outside.astimezone(where).date() <= last


@given(st.sampled_from(ZONES), st.dates(date(1991, 1, 1), date(2040, 1, 1)), st.integers(1, 60))
def test_dates_side_by_side_make_their_period(zone: str, first: date, days: int) -> None:
    apart = sum(hours(zone, first + timedelta(days=n)) for n in range(days))

    assert hours(zone, first, first + timedelta(days=days - 1)) == apart


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # drawn naive
def test_a_moment_lies_in_its_quarter(moment: datetime) -> None:
    quarter = quarter_of(moment)

    assert quarter <= moment < quarter + QUARTER
    assert (quarter.minute % 15, quarter.second, quarter.microsecond) == (0, 0, 0)
    assert next_quarter(moment) == (moment if moment == quarter else quarter + QUARTER)


def test_a_quarter_in_which_clocks_change_belongs_where_it_begins() -> None:
    st_johns = ZoneInfo("America/St_Johns")  # until 2010 its clocks went back at 00:01, to the day before

    before, after = offset_periods(st_johns, date(2010, 11, 7), date(2010, 11, 7))

    assert (before.start, before.end - before.start) == (datetime(2010, 11, 7, 2, 30, tzinfo=UTC), QUARTER)
    assert after.start == datetime(2010, 11, 7, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "at", "utc"),
    [
        pytest.param(date(2026, 11, 23), time(4), "2026-11-23T03:00:00+00:00", id="any day"),
        pytest.param(date(2026, 3, 29), time(2, 30), "2026-03-29T01:30:00+00:00", id="a time that clocks skip"),
        pytest.param(date(2026, 10, 25), time(2, 30), "2026-10-25T00:30:00+00:00", id="a time that comes twice"),
    ],
)
def test_when_a_clock_shows_a_time(day: date, at: time, utc: str) -> None:
    assert instant(day, at, ZoneInfo("Europe/Paris")).isoformat() == utc
