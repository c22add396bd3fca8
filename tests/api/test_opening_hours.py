"""When a store is open."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.api.stores.opening_hours import OpeningHours


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
