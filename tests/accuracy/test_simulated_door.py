"""Accuracy of the counts at the simulated door, where the truth is known. It says nothing of real footage.

docs/accuracy.md has the same for 200 people; here are as many as show a change for the worse in a fraction of the time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import cv2
import pytest

from tests.cli.command import metrica


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The machine's other cores have tests of their own: waiting for them takes longer than the work."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def count(spacing: str, people: int) -> dict[str, float]:
    address = f"sim://door?people={people}&pace=max&spacing={spacing}"
    outcome = metrica("count", address, "--detector", "motion", "--json")
    assert outcome.code == 0, outcome.err
    found: dict[str, float] = json.loads(outcome.out)
    return found


@pytest.mark.timeout(240)
def test_people_who_keep_clear_of_one_another_are_counted_exactly() -> None:
    found = count("clear", people=40)

    assert (found["in"], found["out"]) == (found["truth_in"], found["truth_out"])


@pytest.mark.timeout(240)
def test_people_who_come_as_people_do_are_counted_within_a_tenth() -> None:
    found = count("natural", people=50)

    print(f"natural spacing: {found['error_percent']} % off")
    assert found["error_percent"] <= 10
