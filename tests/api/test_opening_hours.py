"""Opening hours of stores."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from services.api.history.repository import open_quarters
from services.api.stores.opening_hours import WEEKDAYS, OpeningHours, opening
from services.kit.database.tables import Store

MONDAY, SUNDAY = 0, 6


def is_open(hours: dict[str, object], weekday: int, at: str) -> bool:
    quarters = open_quarters(Store(id="shop", organization="acme", name="Shop", opening_hours=hours))
    hour, minute = at.split(":")
    return quarters is None or quarters[weekday * 96 + int(hour) * 4 + int(minute) // 15] == 1


def test_a_store_without_opening_hours_is_always_open() -> None:
    assert is_open({}, SUNDAY, "03:00")


@pytest.mark.parametrize(
    ("weekday", "at", "expected"),
    [
        (MONDAY, "08:45", False),
        (MONDAY, "09:00", True),
        (MONDAY, "12:15", True),
        (MONDAY, "12:30", False),
        (MONDAY, "14:00", True),
        (MONDAY, "23:45", True),
        (SUNDAY, "10:00", False),
    ],
)
def test_it_opens_with_the_first_quarter_hour_and_closes_before_the_last(weekday: int, at: str, expected: bool) -> None:
    assert is_open({"monday": [["09:00", "12:30"], ["14:00", "24:00"]]}, weekday, at) is expected


@pytest.mark.parametrize(
    ("spans", "says"),
    [
        ([["9:00", "10:00"]], "'9:00' is no time of day: write it as 09:30"),
        ([["09:00", "25:00"]], "'25:00' is no time of day"),
        ([["18:00", "02:00"]], "after midnight is of the next day"),
        ([["09:00", "09:00"]], "ends before it begins"),
        ([["14:00", "18:00"], ["09:00", "12:00"]], "in their order"),
        ([["09:00", "13:00"], ["12:00", "18:00"]], "in their order"),
    ],
)
def test_what_no_clock_shows_is_refused_in_words(spans: list[list[str]], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        OpeningHours.model_validate({"monday": spans})


PARIS = ZoneInfo("Europe/Paris")
WEEKDAYS_9_TO_7: dict[str, object] = {
    day: [["09:00", "12:30"], ["14:00", "19:00"]] for day in ("monday", "tuesday", "wednesday", "thursday", "friday")
}
ALL_DAY = [["00:00", "24:00"]]


def opening_at(hours: dict[str, object], now: str) -> tuple[bool | None, str | None, str | None]:
    state = opening(OpeningHours.model_validate(hours), PARIS, datetime.fromisoformat(now).replace(tzinfo=PARIS))
    opens, closes = (None if at is None else at.isoformat()[:16] for at in state[1:])
    return state.is_open, opens, closes


class TestTheNextChange:
    """Monday was 23 November 2026."""

    @pytest.mark.parametrize(
        ("now", "is_open", "opens_at", "closes_at"),
        [
            ("2026-11-23T08:59", False, "2026-11-23T09:00", "2026-11-23T12:30"),
            ("2026-11-23T09:00", True, "2026-11-23T14:00", "2026-11-23T12:30"),
            ("2026-11-23T12:30", False, "2026-11-23T14:00", "2026-11-23T19:00"),
            ("2026-11-27T19:00", False, "2026-11-30T09:00", "2026-11-30T12:30"),
        ],
    )
    def test_it_is_the_next_opening_and_closing(self, now: str, is_open: bool, opens_at: str, closes_at: str) -> None:
        assert opening_at(WEEKDAYS_9_TO_7, now) == (is_open, opens_at, closes_at)

    def test_a_store_without_opening_hours_has_no_state(self) -> None:
        assert opening_at({}, "2026-11-23T09:00") == (None, None, None)

    def test_spans_that_touch_at_midnight_are_one(self) -> None:
        hours: dict[str, object] = {"friday": [["18:00", "24:00"]], "saturday": [["00:00", "02:00"]]}

        assert opening_at(hours, "2026-11-27T23:30") == (True, "2026-12-04T18:00", "2026-11-28T02:00")

    def test_a_store_that_is_open_all_week_never_closes(self) -> None:
        assert opening_at(dict.fromkeys(WEEKDAYS, ALL_DAY), "2026-11-23T09:00") == (True, None, None)

    def test_a_store_that_is_open_on_one_day_of_the_week_opens_on_it_again(self) -> None:
        assert opening_at({"monday": ALL_DAY}, "2026-11-23T09:00") == (True, "2026-11-30T00:00", "2026-11-24T00:00")

    def test_the_offset_is_that_of_the_moment(self) -> None:
        state = opening(
            OpeningHours(sunday=(("09:00", "10:00"),)), PARIS, datetime(2026, 10, 24, 12, tzinfo=PARIS)
        )  # clocks go back on the 25th at three

        assert state.opens_at is not None
        assert state.opens_at.isoformat() == "2026-10-25T09:00:00+01:00"
        assert state.changes_at == state.opens_at
