"""The rules of truth.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.identity import Direction
from contracts.spec import Anchor, Side
from services.cli.console.errors import CommandError
from services.cli.evaluation.matching import Instant
from services.cli.evaluation.truth import Clip, read_truth

CLIP: dict[str, object] = {
    "fps": 10.0,
    "line": [0.72, 0.0, 0.72, 1.0],
    "in_side": "+ (left of the line)",
    "crossing_frames": [[187, "out"], [439, "in"]],
    "notes": "whatever else stands there",
}


def clip(**changes: object) -> Clip:
    return Clip.model_validate(CLIP | changes)


def test_only_the_first_character_of_the_side_counts() -> None:
    assert clip().counting_line.in_side is Side.RIGHT
    assert clip(in_side="- anything").counting_line.in_side is Side.LEFT


@pytest.mark.parametrize(
    ("ref", "anchor"), [("foot", Anchor.FOOT), ("center", Anchor.CENTER), ("any (vertical line)", Anchor.CENTER)]
)
def test_anchor_is_the_default_unless_it_is_named(ref: str, anchor: Anchor) -> None:
    assert clip(ref=ref).counting_line.anchor is anchor


@pytest.mark.parametrize(("fps", "frames"), [(7, 6), (10, 6), (25, 12)])
def test_tolerance_follows_the_frame_rate(fps: float, frames: int) -> None:
    assert clip(fps=fps).tolerance == frames


def test_crossings_are_read() -> None:
    assert clip().truth == [Instant(187, Direction.OUT), Instant(439, Direction.IN)]


def test_keys_with_an_underscore_are_no_clips(tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text(json.dumps({"_about": {"line": "words"}, "a.mp4": CLIP}))

    assert list(read_truth(tmp_path)) == ["a.mp4"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(None, "truth.json cannot be read: No such file", id="missing"),
        pytest.param("{", "is no JSON", id="not JSON"),
        pytest.param("[]", "an object of clips", id="a list"),
        pytest.param('{"a.mp4": {"fps": 10}}', "a.mp4 → line: Field required", id="a field is missing"),
    ],
)
def test_truth_that_cannot_be_understood_says_where(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "truth.json").write_text(text)

    with pytest.raises(CommandError, match=words):
        read_truth(tmp_path)
