"""Accuracy of the counts on real footage, by `metrica eval`: the bars that every change has to clear.

A network looks at each clip once; what it saw is counted at the clip's own frame rate, a half and a quarter of it. Dear
networks look at long clips only when asked to, which takes minutes: `pytest tests/accuracy -m exhaustive`. The longest
clip is counted at its own rate, with the default model, in tests/integration/test_whole_path.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import metrica

# A whole clip is looked at: on a machine that is busy with other things that takes minutes.
pytestmark = [pytest.mark.footage, pytest.mark.timeout(400)]
exhaustive = pytest.mark.exhaustive

DEFAULT, RETAIL, NANO, YOLO11N = (
    "person-detection-0200",
    "person-detection-retail-0013",
    "yolox_nano",
    "yolo11n-int8-openvino",
)
SHOP, ROAD, STREET = "one_by_one.mp4", "vtest_480x360.mp4", "tud_campus.mp4"
ERRORS = {
    # One by one, each standing near the line: nothing may go wrong.
    SHOP: {DEFAULT: 0, RETAIL: 0, NANO: 0, YOLO11N: 0},
    # A busy road both ways, with loiterers who turn back: 32 crossings.
    ROAD: {DEFAULT: 1, RETAIL: 1, NANO: 1, YOLO11N: 1},
    # Three seconds of a street where people hide one another: 6 crossings.
    STREET: {DEFAULT: 2, RETAIL: 0, NANO: 2, YOLO11N: 2},
}
"""Missed and false crossings that are let pass: 1 of the 44 with the best model, 3 with each of the others."""
LOWEST_FPS = 5
"""At fewer frames a second nothing is promised."""


def at_rates(footage: Path, clip: str, model: str, rates: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The clip's results at these parts of its frame rate, in their order, those below `LOWEST_FPS` left out."""
    monkeypatch.setenv("METRICA_MODELS", str(footage / "models"))
    sweep = f"rate={rates}"
    outcome = metrica("eval", footage / "videos", "--clip", clip, "--detector", model, "--sweep", sweep, "--json")
    assert outcome.code == 0, outcome.err
    found = [clips for setting in json.loads(outcome.out)["settings"] for clips in setting["clips"]]
    return [result for result in found if result["fps"] is None or result["fps"] >= LOWEST_FPS]


def assert_within_bar(found: dict[str, Any], clip: str, model: str) -> None:
    print(model, found)
    assert found["missed"] + found["false"] <= ERRORS[clip][model]
    assert found["false"] <= 1
    assert found["wrong_direction"] == 0


@pytest.mark.parametrize("clip", [SHOP, ROAD])
def test_a_dear_network_counts_within_its_bar_at_half_the_frame_rate(
    footage: Path, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = at_rates(footage, clip, RETAIL, "1/2", monkeypatch)

    assert_within_bar(found, clip, RETAIL)


@pytest.mark.parametrize(
    ("clip", "model"),
    [
        (ROAD, DEFAULT),
        pytest.param(ROAD, RETAIL, marks=exhaustive),
        pytest.param(ROAD, NANO, marks=exhaustive),
        pytest.param(ROAD, YOLO11N, marks=exhaustive),
        (STREET, DEFAULT),
        (STREET, RETAIL),
        (STREET, NANO),
        pytest.param(STREET, YOLO11N, marks=exhaustive),
        *(pytest.param(SHOP, model, marks=exhaustive) for model in ERRORS[SHOP]),
    ],
)
def test_clip_is_counted_within_its_bar_and_alike_at_lower_frame_rates(
    footage: Path, clip: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, *lower = at_rates(footage, clip, model, "1,1/2,1/4", monkeypatch)

    assert_within_bar(own, clip, model)
    one_in_twenty = max(1, (own["truth_in"] + own["truth_out"]) // 20)
    for found in lower:
        assert abs(found["in"] - own["in"]) + abs(found["out"] - own["out"]) <= one_in_twenty, found
        assert found["wrong_direction"] == 0
