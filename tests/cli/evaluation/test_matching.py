"""The rules by which a count is compared with the truth."""

from __future__ import annotations

import itertools
import random

import pytest

from contracts.identity import Direction
from services.cli.evaluation.matching import Instant, Matching, match

IN, OUT = Direction.IN, Direction.OUT


def instants(*pairs: tuple[float, Direction]) -> list[Instant]:
    return [Instant(frame, direction) for frame, direction in pairs]


@pytest.mark.parametrize(
    ("counted", "true", "expected"),
    [
        pytest.param([], [], Matching(0, 0, 0, 0), id="nothing happened, nothing counted"),
        pytest.param([(10, IN)], [(10, IN)], Matching(1, 0, 0, 0), id="just right"),
        pytest.param([(16, IN)], [(10, IN)], Matching(1, 0, 0, 0), id="at the edge of the window"),
        pytest.param([(16.1, IN)], [(10, IN)], Matching(0, 1, 1, 0), id="beyond it: one missed and one false"),
        pytest.param([(10, IN), (12, IN)], [(10, IN)], Matching(1, 0, 1, 0), id="counted twice"),
        pytest.param([(10, IN)], [(9, IN), (11, IN)], Matching(1, 1, 0, 0), id="two people counted as one"),
        pytest.param([(10, OUT)], [(12, IN)], Matching(0, 1, 1, 1), id="the wrong way"),
        pytest.param([(10, OUT)], [(12, IN), (11, OUT)], Matching(1, 1, 0, 0), id="missed beside a match is not wrong"),
        pytest.param([(10, OUT)], [(40, IN)], Matching(0, 1, 1, 0), id="the other way but elsewhere"),
        pytest.param([(10, IN), (10, OUT)], [(10, OUT), (10, IN)], Matching(2, 0, 0, 0), id="one each way at once"),
        pytest.param(
            [(8, IN), (14, IN)], [(3, IN), (9, IN)], Matching(2, 0, 0, 0), id="the near one is left to who needs it"
        ),
    ],
)
def test_comparison(
    counted: list[tuple[float, Direction]], true: list[tuple[float, Direction]], expected: Matching
) -> None:
    assert match(instants(*counted), instants(*true), tolerance=6) == expected
    assert match(instants(*counted[::-1]), instants(*true[::-1]), tolerance=6) == expected


def test_no_other_pairing_has_more_pairs() -> None:
    rng = random.Random(5)
    for _ in range(300):
        counted = [rng.randrange(30) for _ in range(rng.randrange(6))]
        true = [rng.randrange(30) for _ in range(rng.randrange(6))]
        short, long = sorted((counted, true), key=len)
        best = max(
            sum(abs(a - b) <= 6 for a, b in zip(short, order, strict=False)) for order in itertools.permutations(long)
        )

        found = match([Instant(f, IN) for f in counted], [Instant(f, IN) for f in true], tolerance=6)

        assert found == Matching(best, len(true) - best, len(counted) - best, 0)
