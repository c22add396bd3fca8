"""How right the counts are where a real detector's errors are laid over known truth: it runs where no footage is.

The people are those of the simulated door, the errors were measured on footage: see `tests.support.detector_errors`.
docs/accuracy.md has the same for more people, more of them a minute, and other frame rates.
"""

from __future__ import annotations

import pytest

from tests.support.detector_errors import MEASURED
from tests.support.seen_door import count


@pytest.mark.parametrize("model", MEASURED)
@pytest.mark.parametrize(("people", "minutes", "allowed"), [(60, 3, 0.03), (90, 1.5, 0.06)], ids=["calm", "rush"])
def test_people_at_a_door_are_counted_through_a_detectors_errors(
    model: str, people: int, minutes: float, allowed: float
) -> None:
    found = count(MEASURED[model], seed=1, people=people, people_per_min=people / minutes)

    print(f"{model}, {people} in {minutes:g} min: {found.matched} matched, {found.missed} missed, {found.false} false")
    assert found.missed + found.false <= allowed * (found.matched + found.missed)
