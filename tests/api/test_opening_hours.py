"""Opening hours of stores."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.api.history.repository import open_quarters
from services.api.stores.opening_hours import OpeningHours
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
