"""The rules of occupancy, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.database.occupancy import Base, inside, over, resets_around
from services.kit.local_time import QUARTER

RESET = datetime(2026, 11, 20, 3, tzinfo=UTC)
NETS = st.lists(st.integers(-9, 9), max_size=30)


def at(quarters: int) -> datetime:
    return RESET + quarters * QUARTER


def curve(bases: list[Base], nets: list[int]) -> list[int]:
    return [people for _, people in over(bases, {at(n): net for n, net in enumerate(nets)}, at(len(nets)))]


def test_it_is_what_came_in_less_what_went_out() -> None:
    assert curve([Base(RESET)], [4, 0, -1, 3]) == [4, 4, 3, 6]


def test_never_below_nobody_and_what_was_missed_is_not_forgotten() -> None:
    assert curve([Base(RESET)], [-3, 2, 2]) == [0, 0, 1]


def test_a_reset_begins_its_quarter_hour_with_nobody() -> None:
    assert curve([Base(RESET), Base(at(2))], [5, 1, 2, 0]) == [5, 6, 2, 2]


def test_a_word_in_the_middle_of_a_quarter_hour_counts_from_there() -> None:
    said = Base(at(1) + timedelta(minutes=7), inside=12, rest=-1)
    assert curve([Base(RESET), said], [5, 40, 2]) == [5, 11, 13]


def test_the_last_of_several_in_a_quarter_hour_stands() -> None:
    words = [Base(at(1) + timedelta(minutes=n), inside=n, rest=1) for n in (3, 9)]
    assert curve([Base(RESET), *words], [5, 40, 2]) == [5, 10, 12]


@given(NETS)
def test_over_the_day_ends_where_the_present_is(nets: list[int]) -> None:
    found = curve([Base(RESET)], nets)

    assert (found or [0])[-1] == inside(Base(RESET), sum(nets))


@pytest.mark.parametrize(
    ("zone", "reset", "now", "last", "following"),
    [
        pytest.param(
            "Africa/Tunis", time(4), "2026-11-20T02:59Z", "2026-11-19T03:00Z", "2026-11-20T03:00Z", id="before it"
        ),
        pytest.param(
            "Africa/Tunis", time(4), "2026-11-20T03:00Z", "2026-11-20T03:00Z", "2026-11-21T03:00Z", id="at it"
        ),
        pytest.param(
            "Europe/Paris", time(2, 30), "2026-03-29T12:00Z", "2026-03-29T01:30Z", "2026-03-30T00:30Z", id="skipped"
        ),
        pytest.param(
            "Europe/Paris", time(2, 30), "2026-10-25T12:00Z", "2026-10-25T00:30Z", "2026-10-26T01:30Z", id="twice"
        ),
        pytest.param(
            "Pacific/Apia", time(0), "2011-12-30T12:00Z", "2011-12-30T10:00Z", "2011-12-31T10:00Z", id="a day gone"
        ),
        pytest.param(
            "America/Havana", time(0), "2026-03-08T05:00Z", "2026-03-08T05:00Z", "2026-03-09T04:00Z", id="no midnight"
        ),
    ],
)
def test_a_reset_is_a_local_time(zone: str, reset: time, now: str, last: str, following: str) -> None:
    found = resets_around(datetime.fromisoformat(now), reset, ZoneInfo(zone))

    assert found == (datetime.fromisoformat(last), datetime.fromisoformat(following))


@given(
    st.sampled_from(["Africa/Tunis", "Europe/Paris", "America/St_Johns", "Pacific/Apia", "America/Havana"]),
    st.times().map(lambda drawn: drawn.replace(minute=drawn.minute // 15 * 15, second=0, microsecond=0)),
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # drawn naive
)
def test_the_present_lies_between_two_resets_about_a_day_apart(zone: str, reset: time, now: datetime) -> None:
    last, following = resets_around(now, reset, ZoneInfo(zone))

    assert last <= now < following
    assert timedelta(hours=22) < following - last < timedelta(hours=26)
