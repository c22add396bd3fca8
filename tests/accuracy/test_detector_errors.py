"""Accuracy of the counts where a real detector's errors are laid over known truth: it runs where no footage is.

The people are those of the simulated door, the errors were measured on footage: see `tests.support.detector_errors`.
docs/accuracy.md has the same for more people, more of them a minute, and other frame rates.
"""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from services.tracker.tracking.kalman import Floats, centred
from tests.support.detector_errors import MEASURED, FlawedDetector
from tests.support.seen_door import count


@pytest.mark.parametrize("model", MEASURED)
@pytest.mark.parametrize(
    ("people", "minutes", "allowed"),
    [pytest.param(60, 3, 0.03, id="calm", marks=pytest.mark.exhaustive), pytest.param(90, 1.5, 0.06, id="rush")],
)
def test_people_at_a_door_are_counted_through_a_detectors_errors(
    model: str, people: int, minutes: float, allowed: float
) -> None:
    found = count(MEASURED[model], seed=1, people=people, people_per_min=people / minutes)

    print(f"{model}, {people} in {minutes:g} min: {found.matched} matched, {found.missed} missed, {found.false} false")
    assert found.missed + found.false <= allowed * (found.matched + found.missed)


@pytest.mark.parametrize("model", MEASURED)
def test_as_many_errors_are_laid_over_the_truth_as_were_measured(model: str) -> None:
    """Of one person in plain view, in the figures that can be read off again."""
    pattern, fps, frames = MEASURED[model], 25.0, 6000
    detector, person = FlawedDetector(pattern, (640, 480), random.Random(0)), (270.0, 140.0, 370.0, 340.0)
    size = math.sqrt(100 * 200)
    found: list[int] = []
    off: list[Floats] = []
    for _ in range(frames):
        boxes, _ = detector.look({1: person}, 1 / fps)
        found.append(len(boxes))
        nearest = min(boxes, key=lambda box: abs(box[0] - person[0]) + abs(box[3] - person[3]), default=None)
        if nearest is not None:
            off.append((centred(np.array([nearest])) - centred(np.array([person])))[0] / size)

    assert np.mean(found) == pytest.approx(1 - pattern.missed[0] + pattern.doubles + pattern.false, abs=0.05)
    spread = np.median(np.abs(off), axis=0) / 0.6745
    assert spread == pytest.approx(np.array(pattern.jitter[0]), rel=0.15)
