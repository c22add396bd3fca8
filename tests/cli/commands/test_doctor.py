"""`metrica doctor` from end to end: on the simulated door, on a darkened clip of it, and on real footage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from services.cli.diagnosis.clip import SourceClip
from services.ingest.sources.simulation import open_simulation
from tests.cli.command import Outcome, metrica
from tests.support.clips import write_clip
from tests.support.films import moving_box, write_interlaced
from tests.support.grabbing import frames

DOOR = "sim://door?people=12&pace=max&spacing=clear&seed=4&people_per_min=24&width=320&height=180"
CORNER = ("--line", "0.02,0.02,0.15,0.02", "--in", "right")


def doctor(tmp_path: Path, *arguments: str | Path) -> dict[str, Any]:  # any JSON
    outcome = metrica("doctor", *arguments, "--json", "--picture", tmp_path / "doctor.png")
    assert outcome.code in (0, 1), outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    assert outcome.code == (0 if found["well"] else 1)
    return found


def test_door_with_its_own_line_is_well(tmp_path: Path) -> None:
    outcome = metrica("doctor", DOOR, "--picture", tmp_path / "doctor.png")

    assert outcome.code == 0, outcome.err
    assert "fine: all is well" in outcome.out


def test_line_in_a_corner_is_told_and_the_proposed_one_counts(tmp_path: Path) -> None:
    found = doctor(tmp_path, DOOR, *CORNER)
    assert found["findings"][0]["code"] == "line_outside"

    line, side = found["proposal"]["line"], found["proposal"]["in"]
    counted = json.loads(metrica("count", DOOR, "--line", ",".join(map(str, line)), "--in", side, "--json").out)
    assert counted["in"] >= 0.9 * counted["truth_in"]
    assert counted["out"] >= 0.9 * counted["truth_out"]
    assert counted["error_percent"] <= 10


def test_one_finding_is_one_line_and_says_what_to_do(tmp_path: Path) -> None:
    outcome = metrica("doctor", DOOR, *CORNER, "--picture", tmp_path / "doctor.png")
    lines = outcome.out.splitlines()

    assert outcome.code == 1
    assert lines[1].startswith("problem: the line lies outside where people walk: nobody crosses it: move it")
    assert "LINE=" in lines[1]


def test_picture_shows_the_scene_with_a_legend(tmp_path: Path) -> None:
    doctor(tmp_path, DOOR, "--seconds", "8")
    picture = cv2.imread(str(tmp_path / "doctor.png"))

    assert picture is not None
    assert picture.shape[1] == 1280
    assert picture.shape[0] > 720


def test_darkened_clip_is_too_dark(tmp_path: Path) -> None:
    dark = tmp_path / "dark.mp4"
    writer = cv2.VideoWriter(str(dark), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 180))
    for grabbed in frames(open_simulation(DOOR.replace("people=12", "people=2")), None):
        writer.write((grabbed.image * 0.15).astype(np.uint8))
    writer.release()
    found = doctor(tmp_path, dark, "--detector", "motion")

    assert found["findings"][0]["code"] == "too_dark"


def test_no_more_than_was_asked_is_looked_at(tmp_path: Path) -> None:
    found = doctor(tmp_path, DOOR, "--seconds", "5", "--from", "4")

    assert found["frames"] == 50
    assert found["seconds"] == pytest.approx(4.9)


def test_a_source_without_an_end_is_looked_at_for_a_while() -> None:
    endless = SourceClip(open_simulation("sim://door?fps=20&width=160&height=90"), begin=0, seconds=0.4)
    at = list(iter(endless.grab, None))

    assert at[0] == 0
    assert max(at) < 0.4e9
    assert endless.length == 8


def test_rate_is_what_comes_not_what_is_promised() -> None:
    door = SourceClip(open_simulation(DOOR), begin=1, seconds=4)
    while door.grab() is not None:
        pass

    assert door.measured_fps == pytest.approx(10)


def test_a_file_is_described(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", 60)
    found = doctor(tmp_path, clip, "--detector", "motion")
    outcome = metrica("doctor", clip, "--detector", "motion", "--picture", tmp_path / "doctor.png")

    assert "video: mpeg4 in mov, 160×120, 10 frames a second, progressive, SDR\n" in outcome.out
    assert found["video"]["tracks"] == [{"number": 1, "codec": "mpeg4", "width": 160, "height": 120}]
    assert (found["video"]["marked"], found["notes"]) == ("progressive", [])


def test_wrong_marks_of_fields_are_a_finding_with_the_command_that_mends_them(tmp_path: Path) -> None:
    clip = write_interlaced(tmp_path / "a.mp4", [moving_box(number) for number in range(120)], "libx264", marked="prog")
    found = doctor(tmp_path, clip, "--detector", "motion")

    (fields,) = [one for one in found["findings"] if one["code"] == "fields"]
    assert fields["what"].startswith(
        "the file says that its pictures are progressive, and they are interlaced, top field"
    )
    assert "ffmpeg -i a.mp4 -vf setfield=tff,bwdif=send_frame -c:v libx264 out.mp4" in fields["advice"]
    assert not found["well"]


class TestRefused:
    def refused(self, outcome: Outcome, words: str) -> None:
        assert outcome.code == 2
        assert outcome.err.startswith("metrica: ")
        assert words in outcome.err
        assert "Traceback" not in outcome.err

    def test_missing_file(self, tmp_path: Path) -> None:
        self.refused(metrica("doctor", "no-such.mp4", "--picture", tmp_path / "a.png"), "there is no such file")

    def test_nothing_left_of_the_file(self, tmp_path: Path) -> None:
        outcome = metrica("doctor", DOOR, "--from", "500", "--picture", tmp_path / "a.png")

        self.refused(outcome, "take an earlier --from")

    @pytest.mark.parametrize("name", ["a.gif", "no-such-folder/a.png"])
    def test_picture_that_cannot_be_written(self, tmp_path: Path, name: str) -> None:
        self.refused(metrica("doctor", DOOR, "--picture", tmp_path / name), "--picture")

    def test_side_without_a_line(self, tmp_path: Path) -> None:
        clip = tmp_path / "a.mp4"
        writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 10, (160, 120))
        writer.write(np.zeros((120, 160, 3), np.uint8))
        writer.release()

        self.refused(metrica("doctor", clip, "--in", "left", "--picture", tmp_path / "a.png"), "--in left needs a line")


@pytest.mark.footage
class TestFootage:
    """Clips of real places."""

    @pytest.fixture(autouse=True)
    def models(self, footage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("METRICA_MODELS", str(footage / "models"))

    def test_line_proposed_for_the_table_crosses_those_who_leave_it(self, footage: Path, tmp_path: Path) -> None:
        found = doctor(tmp_path, footage / "videos" / "one_by_one.mp4", "--from", "113", "--seconds", "26")

        assert found["proposal"]["people"] == found["walkers"] == 2

    def test_true_line_of_the_road_is_in_place_and_a_proposed_one_crosses_most(
        self, footage: Path, tmp_path: Path
    ) -> None:
        line = ("--line", "0.42,0.2,0.42,1", "--in", "right")
        found = doctor(tmp_path, footage / "videos" / "vtest_480x360.mp4", *line, "--seconds", "20")
        said = {finding["code"] for finding in found["findings"]}

        assert said <= {"all_well", "standing_on_line"}
        assert found["proposal"]["people"] >= 0.6 * found["walkers"] >= 4


class TestCamera:
    """A camera of a running Metrica, by its id."""

    @pytest.fixture(autouse=True)
    def database(self, api_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("METRICA_DATABASE_URL", api_database_url)

    def test_is_looked_at_with_its_own_line_and_model(self, tmp_path: Path) -> None:
        corner = ("--line", "0.02,0.02,0.15,0.02", "--line-id", "entrance")
        made = metrica("camera", "set", "front-door", DOOR, *corner, "--model", "motion")
        assert made.code == 0, made.err
        found = doctor(tmp_path, "front-door")

        assert found["model"] == "motion"
        assert [(one["code"], one["line"]) for one in found["findings"]] == [("line_outside", "entrance")]

    def test_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        outcome = metrica("doctor", "back-door", "--picture", tmp_path / "a.png")

        assert outcome.code == 2
        assert "there is no camera 'back-door'" in outcome.err
        assert outcome.err.count("\n") == 1
