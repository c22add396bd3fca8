"""How right the counts are at the simulated door, where the truth is known. It says nothing of real footage.

docs/accuracy.md has the same for 200 people; here are as many as show a change for the worse in a quarter of the time.
"""

from __future__ import annotations

import json

import pytest

from tests.cli.command import metrica


def count(spacing: str, people: int) -> dict[str, float]:
    address = f"sim://door?people={people}&pace=max&spacing={spacing}"
    outcome = metrica("count", address, "--detector", "motion", "--json")
    assert outcome.code == 0, outcome.err
    found: dict[str, float] = json.loads(outcome.out)
    return found


@pytest.mark.timeout(240)
def test_people_who_keep_clear_of_one_another_are_counted_exactly() -> None:
    found = count("clear", people=60)

    assert (found["in"], found["out"]) == (found["truth_in"], found["truth_out"])


@pytest.mark.timeout(240)
def test_people_who_come_as_people_do_are_counted_within_a_tenth() -> None:
    found = count("natural", people=80)

    print(f"natural spacing: {found['error_percent']} % off")
    assert found["error_percent"] <= 10
