"""How right the counts are on real footage, by `metrica eval`: the bars that every change has to clear."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.command import metrica

# A whole clip is looked at: on a machine that is busy with other things that takes minutes.
pytestmark = [pytest.mark.footage, pytest.mark.timeout(400)]

MODELS = ["person-detection-0200", "person-detection-retail-0013"]


@dataclass(frozen=True, slots=True)
class Counted:
    """A clip's result."""

    ins: int
    outs: int
    matched: int
    missed: int
    false: int
    wrong_direction: int


def evaluate(footage: Path, clip: str, model: str, monkeypatch: pytest.MonkeyPatch, *options: str) -> Counted:
    monkeypatch.setenv("METRICA_MODELS", str(footage / "models"))
    outcome = metrica("eval", footage / "videos", "--clip", clip, "--detector", model, "--json", *options)
    assert outcome.code == 0, outcome.err
    (found,) = json.loads(outcome.out)["clips"]
    fields = ("in", "out", "matched", "missed", "false", "wrong_direction")
    return Counted(*(found[field] for field in fields))


@pytest.mark.parametrize("model", MODELS)
def test_one_by_one_is_counted_exactly(footage: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = evaluate(footage, "one_by_one.mp4", model, monkeypatch)

    assert found == Counted(ins=0, outs=6, matched=6, missed=0, false=0, wrong_direction=0)


@pytest.mark.parametrize("model", MODELS)
def test_busy_road_is_counted_nearly_exactly(footage: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = evaluate(footage, "vtest_480x360.mp4", model, monkeypatch)

    assert found.matched >= 30
    assert found.false <= 1
    assert found.wrong_direction == 0
