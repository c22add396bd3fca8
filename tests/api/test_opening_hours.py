"""When a store is open."""

from __future__ import annotations

from datetime import time

import pytest
from pydantic import ValidationError

from services.api.stores.opening_hours import OpeningHours

MONDAY, SUNDAY = 0, 6


def test_a_store_of_which_nothing_is_said_is_always_open() -> None:
    assert OpeningHours().is_open(SUNDAY, time(3))


@pytest.mark.parametrize(
    ("weekday", "at", "is_open"),
    [
        (MONDAY, "08:59", False),
        (MONDAY, "09:00", True),
        (MONDAY, "12:29", True),
        (MONDAY, "12:30", False),
        (MONDAY, "14:00", True),
        (MONDAY, "23:59", True),
        (SUNDAY, "10:00", False),
    ],
)
def test_it_opens_with_the_first_minute_and_closes_before_the_last(weekday: int, at: str, is_open: bool) -> None:
    hours = OpeningHours.model_validate({"monday": [["09:00", "12:30"], ["14:00", "24:00"]]})

    assert hours.is_open(weekday, time.fromisoformat(at)) is is_open


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
