"""How right the counts are where a real detector's errors are laid over known truth: it runs where no footage is.

The people are those of the simulated door, who come at random, in pairs, stop and turn back; the errors are those that
were measured on footage, see `tests.support.detector_errors`. docs/accuracy.md has the same for more people.
"""

from __future__ import annotations

import pytest

from services.cli.matching import Instant, Matching, match
from services.ingest.door.walks import Spacing, script
from services.tracker.counting import CameraCounter
from tests.support.detector_errors import MEASURED, ErrorPattern
from tests.support.seen_door import SPEC, START, detections, present

FPS = 10.0
NEAR = 40.0
"""Frames between a counted crossing and the true one: who stops on the line, up to 4 s, crosses when they go on."""


def count(pattern: ErrorPattern, *, seed: int, people: int, people_per_min: float = 20.0) -> Matching:
    """What becomes of people at the simulated door whom a detector sees that errs like this."""
    walks = list(script(seed, Spacing.NATURAL, people_per_min, people))
    true = [Instant(crossing.at_ns / 1e9 * FPS, crossing.direction) for walk in walks for crossing in walk.crossings()]
    counter = CameraCounter("live", SPEC.store, SPEC.camera)
    counted = [
        Instant((crossing.at - START) / 1e9 * FPS, crossing.direction)
        for frame in detections(present(walks, FPS), pattern, seed=seed, fps=FPS)
        for crossing in counter.step(frame, SPEC).crossings
    ]
    return match(counted, true, tolerance=NEAR)


@pytest.mark.parametrize("model", MEASURED)
def test_people_at_a_door_are_counted_through_a_detectors_errors(model: str) -> None:
    """Reached with 200 people: at most 1 % missed and false together."""
    found = count(MEASURED[model], seed=1, people=50)

    print(f"{model}: {found.matched} matched, {found.missed} missed, {found.false} false")
    assert found.missed + found.false <= 0.03 * (found.matched + found.missed)
    assert found.wrong_direction == 0
