"""The rules by which a clip's count is put beside its truth."""

from __future__ import annotations

import pytest

from contracts.events import Crossing
from contracts.identity import Direction
from services.cli.evaluation.score import Score, Totals, score
from services.cli.evaluation.score_report import show
from services.cli.evaluation.truth import Clip

IN, OUT = Direction.IN, Direction.OUT
MINUTE = 60


def crossing(seconds: float, direction: Direction) -> Crossing:
    at = round(seconds * 1e9)
    return Crossing(
        run="live",
        id=Crossing.identify("camera", "line", 1, "session", at, direction, 0),
        store="store",
        camera="camera",
        line="line",
        line_revision=1,
        direction=direction,
        session="session",
        seq=at,
        at=at,
        place=0.5,
        spec_revision=1,
    )


def scored(counted: list[tuple[float, Direction]], true: list[tuple[float, Direction]], *, minutes: float) -> Score:
    """Both by their second, in a clip of 10 frames a second."""
    frames = tuple((round(seconds * 10), direction) for seconds, direction in true)
    clip = Clip(fps=10, line=(0.5, 0, 0.5, 1), in_side="+", crossing_frames=frames)
    crossings = [crossing(*each) for each in counted]
    return score("clip.mp4", clip, crossings, fps=None, seconds=minutes * MINUTE)


def test_crossings_are_matched_in_the_clips_own_frames() -> None:
    found = scored([(1.0, IN), (5.0, OUT)], [(1.6, IN), (5.7, OUT)], minutes=1)

    assert (found.matching.matched, found.matching.missed, found.matching.false) == (1, 1, 1)
    assert found.as_json()["missed_at"] == [[57, "out"]]
    assert found.as_json()["false_at"] == [[50, "out"]]


def test_clip_of_a_quarter_of_an_hour_has_no_quarters() -> None:
    found = scored([(1.0, IN)], [(1.0, IN)], minutes=15)

    assert found.quarters == ()
    assert "quarters" not in found.as_json()


def test_longer_clip_is_told_by_the_quarter() -> None:
    counted = [(10.0, IN), (14 * MINUTE, OUT), (16 * MINUTE, IN), (31 * MINUTE, OUT)]
    true = [(10.0, IN), (14 * MINUTE, OUT), (16 * MINUTE, IN), (17 * MINUTE, IN), (31 * MINUTE, OUT)]

    found = scored(counted, true, minutes=32)

    assert found.quarters == (Totals(1, 1, 1, 1), Totals(1, 0, 2, 0), Totals(0, 1, 0, 1))
    assert Totals.sum(found.quarters) == found.totals
    assert found.as_json()["quarters"] == [
        {"minute": 0, "in": 1, "out": 1, "truth_in": 1, "truth_out": 1},
        {"minute": 15, "in": 1, "out": 0, "truth_in": 2, "truth_out": 0},
        {"minute": 30, "in": 0, "out": 1, "truth_in": 0, "truth_out": 1},
    ]


def test_table_shows_the_quarters_of_a_long_clip(capsys: pytest.CaptureFixture[str]) -> None:
    short = scored([(10.0, IN)], [(10.0, IN)], minutes=1)
    long = scored([(10.0, IN), (16 * MINUTE, OUT)], [(10.0, IN), (16 * MINUTE, OUT), (17 * MINUTE, OUT)], minutes=20)

    show([short, long], "model")

    printed = capsys.readouterr().out
    assert printed.count("by the quarter of an hour") == 1
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line.startswith("│")]
    assert rows[-2:] == [["0 – 15", "1 / 1", "0 / 0"], ["15 – 30", "0 / 0", "1 / 2"]]


def test_nothing_to_sum_is_nothing() -> None:
    assert Totals.sum([]) == Totals(0, 0, 0, 0)
