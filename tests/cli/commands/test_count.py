"""The rules of `metrica count`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from contracts.events import Crossing
from contracts.spec import Capture
from services.ingest.session import session_of
from services.ingest.sources.opening import open_source
from tests.cli.command import Outcome, metrica, metrica_process
from tests.support.clips import write_clip

DOOR = "sim://door?people=4&pace=max&spacing=clear&seed=4&people_per_min=24&width=320&height=180"
TWO = "sim://door?people=2&pace=max&spacing=clear&seed=4&people_per_min=24&width=320&height=180"
"""Both go in."""
MORNING = "2026-11-23T09:00:00+01:00"


@pytest.fixture(scope="module")
def counted() -> dict[str, object]:
    """One count of the simulated door, with everything named."""
    outcome = metrica("count", DOOR, "--json", "--camera", "cam-7", "--line-id", "entrance", "--start", MORNING)
    assert outcome.code == 0, outcome.err
    result: dict[str, object] = json.loads(outcome.out)
    return result


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", 5)


def test_json_is_one_object_with_the_whole_result(counted: dict[str, object]) -> None:
    assert set(counted) == {
        "in", "out", "lines", "crossings", "session", "frames", "skipped", "model", "notes", "truth_in",
        "truth_out", "error_percent",
    }  # fmt: skip
    assert (counted["in"], counted["out"]) == (counted["truth_in"], counted["truth_out"])
    assert counted["error_percent"] == 0
    assert counted["skipped"] == 0


def test_crossings_are_the_services_own_events(counted: dict[str, object]) -> None:
    assert isinstance(counted["crossings"], list)
    crossings = [Crossing.model_validate(crossing) for crossing in counted["crossings"]]

    assert len(crossings) == 4
    for crossing in crossings:
        assert (crossing.run, crossing.camera, crossing.line, crossing.line_revision) == (
            "live",
            "cam-7",
            "entrance",
            1,
        )
        assert crossing.session == counted["session"]
        assert crossing.model is not None
        assert crossing.model.name == "motion"


def test_session_is_the_one_that_ingest_would_give(counted: dict[str, object]) -> None:
    start = 1_795_420_800_000_000_000  # MORNING

    assert counted["session"] == session_of(open_source(DOOR), Capture(), start)


def test_same_start_gives_the_same_ids_and_another_gives_others(counted: dict[str, object]) -> None:
    names = ("--camera", "cam-7", "--line-id", "entrance")
    again = json.loads(metrica("count", DOOR, "--json", *names, "--start", "2026-11-23T08:00:00Z").out)
    later = json.loads(metrica("count", DOOR, "--json", *names, "--start", "2026-11-23T08:00:01Z").out)

    assert again == counted
    assert {crossing["id"] for crossing in later["crossings"]}.isdisjoint(
        crossing["id"] for crossing in again["crossings"]
    )


def test_the_other_side_swaps_in_and_out(counted: dict[str, object]) -> None:
    swapped = json.loads(metrica("count", DOOR, "--json", "--in", "left").out)

    assert (swapped["in"], swapped["out"]) == (counted["out"], counted["in"])


def test_people_read_crossings_totals_and_truth() -> None:
    outcome = metrica("count", DOOR)

    assert outcome.code == 0
    assert outcome.err == "", "no progress bar where nobody watches"
    assert "IN 3  OUT 1" in outcome.out
    assert "truth: IN 3  OUT 1  (error 0.0 %)" in outcome.out


def test_annotated_video_has_every_frame(tmp_path: Path, counted: dict[str, object]) -> None:
    path = tmp_path / "seen.mp4"
    outcome = metrica("count", DOOR, "--annotate", path)
    video = cv2.VideoCapture(str(path))

    assert outcome.code == 0
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == counted["frames"]
    assert video.get(cv2.CAP_PROP_FPS) == 10


def test_a_clip_without_people_counts_none(clip: Path) -> None:
    outcome = metrica("count", clip, "--line", "0.5,0,0.5,1", "--in", "left", "--detector", "motion", "--json")

    assert json.loads(outcome.out)["crossings"] == []


class TestLines:
    """Several lines in one count."""

    LINES = ("--line", "door=0,0.53,1,0.53", "--line", "far=0,0.68,1,0.68", "--in", "right", "--in", "left")

    def test_each_line_has_its_own_count_and_its_sides_their_names(self) -> None:
        outcome = metrica("count", TWO, *self.LINES, "--in-name", "shop", "--out-name", "street", "--json")
        counted = json.loads(outcome.out)

        assert counted["lines"] == [
            {"line": "door", "in": 2, "out": 0, "in_name": "shop", "out_name": "street"},
            {"line": "far", "in": 0, "out": 2, "in_name": "shop", "out_name": "street"},
        ]
        assert (counted["in"], counted["out"]) == (2, 2)
        assert [crossing["line"] for crossing in counted["crossings"]] == ["door", "far", "door", "far"]
        assert "truth_in" not in counted

    def test_people_read_which_line_it_was(self, clip: Path) -> None:
        options = ("--line", "a=0.5,0,0.5,1", "--line", "0.6,0,0.6,1", "--line", "0.7,0,0.7,1", "--detector", "motion")
        out = metrica("count", clip, *options, "--in", "left", "--in-name", "shop").out

        for line in ("a", "line-2", "line-3"):
            assert f"{line}: IN 0 (to shop)  OUT 0\n" in out


class TestWhereToLook:
    def test_who_is_not_looked_for_does_not_count(self) -> None:
        """On this side of the door nobody is seen: so nobody comes over."""
        outcome = metrica("count", TWO, "--json", "--ignore", "0,0,1,0,1,0.5,0,0.5")

        assert json.loads(outcome.out)["crossings"] == []

    def test_the_annotated_video_shows_the_rest_in_the_dark(self, clip: Path, tmp_path: Path) -> None:
        path = tmp_path / "seen.mp4"
        options = ("--line", "0.75,0,0.75,1", "--in", "left", "--detector", "motion")
        outcome = metrica("count", clip, *options, "--region", "0.5,0,1,0,1,1,0.5,1", "--annotate", path)
        assert outcome.code == 0, outcome.err
        before, after = (cv2.VideoCapture(str(one)).read()[1][60:] for one in (clip, path))

        assert after[:, :60].mean() < 0.6 * before[:, :60].mean()
        assert after[:, -20:].mean() > 0.9 * before[:, -20:].mean()


class TestRefused:
    """Each refusal is one line on stderr that names the trouble, with exit code 2 and no traceback."""

    LINE = ("--line", "0.5,0,0.5,1", "--in", "left", "--detector", "motion")

    def refused(self, outcome: Outcome, words: str) -> None:
        assert outcome.code == 2
        assert outcome.err.startswith("metrica: ")
        assert outcome.err.count("\n") == 1
        assert words in outcome.err
        assert outcome.out == ""

    def test_missing_file(self) -> None:
        self.refused(metrica("count", "no-such.mp4", *self.LINE), "no-such.mp4: there is no such file")

    def test_libraries_beneath_add_no_words_of_their_own(self, tmp_path: Path) -> None:
        # OpenCV and FFmpeg write to the process's own stderr, past Python's.
        (tmp_path / "a.mp4").write_bytes(b"this is no video" * 100)

        self.refused(metrica_process("count", tmp_path / "a.mp4", *self.LINE), "a.mp4 is no video: it is a text file")

    def test_video_with_no_frames(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mp4"
        cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64)).release()

        self.refused(metrica("count", path, *self.LINE), "a.mp4")

    def test_line_outside_the_picture(self, clip: Path) -> None:
        outcome = metrica("count", clip, "--line", "0.5,0,1.5,1", "--in", "left", "--detector", "motion")

        self.refused(outcome, "the point (1.5, 1) lies outside the picture")

    def test_line_shorter_than_a_person(self, clip: Path) -> None:
        outcome = metrica("count", clip, "--line", "0.5,0.5,0.5,0.501", "--in", "left", "--detector", "motion")

        self.refused(outcome, "draw it longer")

    @pytest.mark.parametrize("line", ["0.5,0,0.5", "a,b,c,d", ""])
    def test_line_that_is_not_four_numbers(self, clip: Path, line: str) -> None:
        self.refused(metrica("count", clip, "--line", line, "--in", "left"), "give four numbers from 0 to 1")

    def test_no_line(self, clip: Path) -> None:
        self.refused(metrica("count", clip), "--line is missing")

    def test_no_side(self, clip: Path) -> None:
        self.refused(metrica("count", clip, "--line", "0.5,0,0.5,1"), "--in is missing")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--line", "front door=0,0,1,1"), "an id has letters, digits, - and _ only"),
            (("--line", "a=0,0,1,1", "--line", "a=0,1,1,0"), "two of its lines have the same id: a, a"),
            (("--in", "left"), "--in is given 2 times, for 1 lines: give it once, or once for each"),
            (("--region", "0,0,1,1"), "--region 0,0,1,1: give three points or more"),
            (("--ignore", "0,0,1,0,x,1"), "--ignore 0,0,1,0,x,1: give three points or more"),
            (("--region", "0,0,1,1,1,0,0,1"), "region 1: its sides cross each other"),
            (("--region", "0,0,0.3,0,0.3,1"), "line line can never count: nobody is looked for where it lies"),
            (("--min-height", "20"), "min_height: Input should be less than 1"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
    )
    def test_lines_and_regions_that_cannot_be(self, clip: Path, options: tuple[str, ...], words: str) -> None:
        line = () if "--line" in options else ("--line", "0.5,0,0.5,1")

        self.refused(metrica("count", clip, *line, "--in", "left", "--detector", "motion", *options), words)

    def test_unknown_model(self, clip: Path) -> None:
        outcome = metrica("count", clip, "--line", "0.5,0,0.5,1", "--in", "left", "--detector", "eagle-eye")

        self.refused(outcome, "no model 'eagle-eye'")

    def test_moment_without_a_time_zone(self, clip: Path) -> None:
        self.refused(metrica("count", clip, *self.LINE, "--start", "2026-11-23T09:00:00"), "with its time zone")

    @pytest.mark.parametrize("path", ["no-such-folder/a.mp4", "a.mkv", "."])
    def test_annotated_video_that_cannot_be_written(self, clip: Path, path: str) -> None:
        self.refused(metrica("count", clip, *self.LINE, "--annotate", path), f"--annotate {path}")

    def test_annotated_video_over_its_own_source(self, clip: Path) -> None:
        before = clip.read_bytes()

        self.refused(metrica("count", clip, *self.LINE, "--annotate", clip), "is the source itself")
        assert clip.read_bytes() == before

    def test_simulation_without_an_end(self) -> None:
        self.refused(metrica("count", "sim://door"), "never ends: give the number of people")

    def test_camera_that_is_off(self) -> None:
        outcome = metrica("count", "rtsp://admin:secret@127.0.0.1:1/cam", *self.LINE)

        self.refused(outcome, "connection refused")
        assert "secret" not in outcome.err


def test_every_verb_has_a_help_text() -> None:
    verbs = metrica("--help").out

    for verb in ("count", "eval"):
        assert verb in verbs
        outcome = metrica(verb, "--help")
        assert outcome.code == 0
        assert "--detector" in outcome.out
