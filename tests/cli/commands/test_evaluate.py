"""The rules of `metrica eval`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from contracts.identity import Direction
from services.ingest.sources.simulation import open_simulation
from tests.cli.command import metrica
from tests.support.grabbing import frames

DOOR = "sim://door?people=3&pace=max&spacing=clear&seed=4&people_per_min=24&width=320&height=180"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filmed simulation with its truth; one crossing is wrongly noted, to see it missed."""
    folder = tmp_path_factory.mktemp("clips")
    door = open_simulation(DOOR)
    writer = cv2.VideoWriter(str(folder / "door.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 180))
    for grabbed in frames(door, None):
        writer.write(grabbed.image)
    writer.release()
    first, *rest = [(round(crossing.at_ns / 1e8), crossing.direction) for crossing in door.truth()]
    turned = Direction.OUT if first[1] is Direction.IN else Direction.IN
    described = {
        "fps": 10,
        "line": [door.line.x1, door.line.y1, door.line.x2, door.line.y2],
        "in_side": "+",
        "crossing_frames": [(first[0], turned), *rest],
    }
    truth = {"_about": {"made": "for this test"}, "door.mp4": described, "gone.mp4": described}
    (folder / "truth.json").write_text(json.dumps(truth))
    return folder


def test_json_tells_matched_missed_false_and_wrong(folder: Path) -> None:
    outcome = metrica("eval", folder, "--clip", "door.mp4", "--detector", "motion", "--json")

    (clip,) = json.loads(outcome.out)["clips"]
    totals = {"in", "out", "truth_in", "truth_out"}
    assert set(clip) == {
        "clip", "fps", "matched", "missed", "false", "wrong_direction", "missed_at", "false_at", *totals
    }  # fmt: skip
    assert clip["clip"] == "door.mp4"
    assert clip["in"] + clip["out"] == clip["truth_in"] + clip["truth_out"] == 3
    assert (clip["matched"], clip["missed"], clip["false"], clip["wrong_direction"]) == (2, 1, 1, 1)
    ((missed, noted),), ((false, counted),) = clip["missed_at"], clip["false_at"]
    assert abs(missed - false) <= 6
    assert {noted, counted} == {"in", "out"}


def test_table_is_for_people(folder: Path) -> None:
    outcome = metrica("eval", folder, "--clip", "door.mp4", "--detector", "motion")

    assert outcome.code == 0
    for word in ("motion", "door.mp4", "matched", "missed", "false", "wrong"):
        assert word in outcome.out


def test_clip_that_is_described_but_missing_is_refused(folder: Path) -> None:
    outcome = metrica("eval", folder, "--clip", "gone.mp4", "--detector", "motion")

    assert (outcome.code, outcome.out) == (2, "")
    assert "gone.mp4: there is no such file" in outcome.err


def test_clip_that_is_not_described_is_refused(folder: Path) -> None:
    outcome = metrica("eval", folder, "--clip", "other.mp4", "--detector", "motion")

    assert outcome.code == 2
    assert "describes door.mp4, gone.mp4" in outcome.err


def test_folder_without_truth_is_refused(tmp_path: Path) -> None:
    outcome = metrica("eval", tmp_path)

    assert outcome.code == 2
    assert "truth.json cannot be read" in outcome.err
    assert outcome.err.count("\n") == 1


def test_number_of_threads_that_is_none_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICA_THREADS", "many")

    outcome = metrica("eval", folder, "--clip", "door.mp4", "--detector", "motion")

    assert (outcome.code, outcome.out) == (2, "")
    assert "METRICA_THREADS=many: give a whole number from 1 up" in outcome.err
