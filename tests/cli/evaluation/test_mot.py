"""The rules of `metrica eval` on MOT text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.cli.evaluation.mot_metrics import MotScore, combined, score_tracks
from services.cli.evaluation.mot_text import Boxes, GroundTruth, read_sequence
from services.tracker.tracking.association import assign, overlaps
from tests.cli.command import Outcome, metrica

DETECTED = "{frame},-1,{x},100,60,150,0.9,-1,-1,-1"
TRUE = "{frame},{person},{x},100,60,150,1,-1,-1,-1"


def write(folder: Path, *, det: list[str] | None = None, gt: list[str] | None = None, info: str | None = None) -> Path:
    """A sequence: two people walk towards one another and never meet; or the given lines."""
    frames, starts = range(1, 21), ((1, 100, 5), (2, 600, -5))
    walk = [(frame, person, x + step * frame) for frame in frames for person, x, step in starts]
    det = det if det is not None else [DETECTED.format(frame=frame, x=x) for frame, _, x in walk]
    gt = gt if gt is not None else [TRUE.format(frame=frame, person=person, x=x) for frame, person, x in walk]
    for kind, lines in (("det", det), ("gt", gt)):
        (folder / kind).mkdir(parents=True)
        (folder / kind / f"{kind}.txt").write_text("\n".join(lines) + "\n")
    if info is not None:
        (folder / "seqinfo.ini").write_text(info)
    return folder


def evaluate(folder: Path, *options: str) -> dict[str, Any]:
    """The figures of a folder that is one sequence."""
    outcome = metrica("eval", folder, "--json", *options)
    assert outcome.code == 0, outcome.err
    (found,) = json.loads(outcome.out)["sequences"]
    return dict(found)


class TestFigures:
    def test_only_the_frames_before_they_are_confirmed_are_missed(self, tmp_path: Path) -> None:
        found = evaluate(write(tmp_path / "walk"))

        assert (found["sequence"], found["frames"], found["fps"]) == ("walk", 20, 25)
        assert (found["id_switches"], found["false"]) == (0, 0)
        assert found["mota"] == 100 * (1 - found["missed"] / 40)

    def test_table_has_a_line_for_each_sequence_and_one_for_all(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write(tmp_path / name)
        outcome = metrica("eval", tmp_path)

        for word in (" a ", " b ", " all ", "MOTA", "IDF1", "HOTA", "IDsw"):
            assert word in outcome.out

    def test_frame_rate_is_the_files_or_the_option(self, tmp_path: Path) -> None:
        write(tmp_path, info="[Sequence]\nframeRate=14\nseqLength=30\n")

        assert evaluate(tmp_path)["fps"] == 14
        assert evaluate(tmp_path)["frames"] == 30
        assert evaluate(tmp_path, "--fps", "7")["fps"] == 7

    def test_rows_of_flag_0_need_not_be_found(self, tmp_path: Path) -> None:
        poster = ["1,3,900,100,60,150,0,-1,-1,-1"]
        write(tmp_path, gt=[*(TRUE.format(frame=frame, person=1, x=9) for frame in (1, 2)), *poster])

        assert len(read_sequence(tmp_path).truth.people) == 2

    def test_of_classes_only_pedestrians_are_people(self, tmp_path: Path) -> None:
        write(tmp_path, gt=[f"1,{kind},{100 * kind},100,60,150,1,{kind},1" for kind in (1, 3, 7, 12)])
        truth = read_sequence(tmp_path).truth

        assert truth.people.person.tolist() == [1]
        assert truth.ignored.person.tolist() == [7, 12]

    def test_track_of_a_distractor_is_neither_right_nor_wrong(self) -> None:
        here, there = boxes([(1, 1, 0)]), boxes([(1, 9, 500)])

        assert score_tracks(GroundTruth(here, there), boxes([(1, 1, 0), (1, 2, 505)]), 1).false == 0
        assert score_tracks(GroundTruth(here, boxes([])), boxes([(1, 1, 0), (1, 2, 505)]), 1).false == 1


class TestRefused:
    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("1,-1,100,100,sixty,150,0.9", "numbers with commas between them"),
            ("1 -1 100 100 60 150 0.9", "numbers with commas between them"),
            ("1,-1,100,100,60", "5 columns"),
            ("0,-1,100,100,60,150,0.9", "frame 0: frames are counted 1, 2, 3"),
            ("1.5,-1,100,100,60,150,0.9", "frame 1.5"),
            ("2e9,-1,100,100,60,150,0.9", "much too large"),
            ("1,-1,100,100,0,150,0.9", "0 wide"),
            ("1,-1,nan,100,60,150,0.9", "a number that is not finite"),
        ],
    )
    def test_line_that_cannot_be_understood(self, tmp_path: Path, line: str, said: str) -> None:
        outcome = metrica("eval", write(tmp_path, det=[DETECTED.format(frame=1, x=1), "", line]))

        assert_refused(outcome, f"{Path('det', 'det.txt')}, line 3: ", said)

    @pytest.mark.parametrize("kind", ["det", "gt"])
    def test_missing_file(self, tmp_path: Path, kind: str) -> None:
        (write(tmp_path) / kind / f"{kind}.txt").unlink()

        assert_refused(metrica("eval", tmp_path), f"{kind}.txt cannot be read: No such file")

    def test_truth_without_anybody(self, tmp_path: Path) -> None:
        assert_refused(metrica("eval", write(tmp_path, gt=[])), "it contains no person")

    def test_person_who_is_twice_in_a_frame(self, tmp_path: Path) -> None:
        twice = [TRUE.format(frame=4, person=7, x=x) for x in (1, 2)]

        assert_refused(metrica("eval", write(tmp_path, gt=twice)), "7 is twice in frame 4")

    def test_frame_rate_that_is_none(self, tmp_path: Path) -> None:
        write(tmp_path, info="[Sequence]\nframeRate=fast\n")

        assert_refused(metrica("eval", tmp_path), "seqinfo.ini", "fast")
        assert_refused(metrica("eval", tmp_path, "--fps", "0"), "--fps 0")

    def test_options_that_are_for_clips(self, tmp_path: Path) -> None:
        assert_refused(metrica("eval", write(tmp_path), "--detector", "motion"), "only the options --fps and --json")


def assert_refused(outcome: Outcome, *said: str) -> None:
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    for part in said:
        assert part in outcome.err


def boxes(rows: list[tuple[int, int, float]]) -> Boxes:
    """Boxes of one size by frame, name and left side."""
    frame, name, left = np.array(rows, np.float64).reshape(-1, 3).T
    corners = np.stack([left, left * 0 + 100, left + 60, left * 0 + 250], axis=1)
    return Boxes.of(frame.astype(np.int64), name.astype(np.int64), corners)


def spoilt(people: Boxes) -> Boxes:
    """Tracks that are the truth, each moved aside a little or much, some missing, with names that change."""
    aside = (people.corners[:, 2] - people.corners[:, 0]) * 0.08 * (people.frame % 7)
    moved = replace(
        people,
        person=(people.person + people.frame // 30) % 7,
        corners=people.corners + np.array([1.0, 0.0, 1.0, 0.0]) * aside[:, None],
    )
    _, first = np.unique(np.stack([moved.frame, moved.person]), axis=1, return_index=True)
    return moved.take(np.isin(np.arange(len(moved)), first) & (np.arange(len(moved)) % 7 > 0))


@pytest.mark.footage
@pytest.mark.parametrize("name", ["TUD-Campus", "TUD-Stadtmitte"])
class TestRealSequences:
    def test_truth_is_a_perfect_track(self, footage: Path, name: str) -> None:
        sequence = read_sequence(footage / "mot" / name)
        found = score_tracks(sequence.truth, sequence.truth.people, sequence.frames)

        assert (found.mota, found.idf1, found.hota) == pytest.approx((100, 100, 100))
        assert (found.switches, found.false, found.missed) == (0, 0, 0)

    def test_nobody_found_is_nothing(self, footage: Path, name: str) -> None:
        sequence = read_sequence(footage / "mot" / name)
        found = score_tracks(sequence.truth, boxes([]), sequence.frames)

        assert (found.mota, found.idf1, found.hota) == (0, 0, 0)
        assert found.missed == len(sequence.truth.people)

    def test_figures_are_those_of_trackeval(self, footage: Path, name: str) -> None:
        """TrackEval 1.3.0, the official evaluation, on the same rows."""
        sequence = read_sequence(footage / "mot" / name)
        found = score_tracks(sequence.truth, spoilt(sequence.truth.people), sequence.frames)

        assert (found.mota, found.idf1, found.hota) == pytest.approx(TRACKEVAL[name][:3], abs=1e-3)
        assert (found.switches, found.false, found.missed) == TRACKEVAL[name][3:]

    def test_idf1_is_what_its_definition_says(self, footage: Path, name: str) -> None:
        sequence = read_sequence(footage / "mot" / name)
        people, tracks = sequence.truth.people, spoilt(sequence.truth.people)
        common = np.zeros((people.person.max() + 1, tracks.person.max() + 1))
        for there, seen in zip(people.by_frame(sequence.frames), tracks.by_frame(sequence.frames), strict=True):
            near = overlaps(there.corners, seen.corners)[0] >= 0.5
            common[np.ix_(there.person, seen.person)] += near
        rows, columns = assign(-common, 0.0)
        idf1 = 200 * common[rows, columns].sum() / (len(people) + len(tracks))

        assert score_tracks(sequence.truth, tracks, sequence.frames).idf1 == pytest.approx(idf1)


TRACKEVAL = {
    "TUD-Campus": (33.7047, 30.03, 28.6389, 28, 79, 131),
    "TUD-Stadtmitte": (33.6505, 15.3171, 17.4176, 55, 225, 487),
}


@pytest.mark.footage
def test_sequences_are_added_up_frame_by_frame(footage: Path) -> None:
    fits: list[MotScore] = []
    people = errors = 0
    for name in TRACKEVAL:
        sequence = read_sequence(footage / "mot" / name)
        fits.append(score_tracks(sequence.truth, spoilt(sequence.truth.people), sequence.frames))
        people += len(sequence.truth.people)
        errors += fits[-1].switches + fits[-1].false + fits[-1].missed

    assert combined(fits).mota == pytest.approx(100 * (1 - errors / people))
