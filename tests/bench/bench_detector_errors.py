"""Errors of real detectors: `python -m tests.bench.bench_detector_errors` prints `MEASURED` of `detector_errors`.

Each model looks at two clips as the services do. TUD-Campus (MOTChallenge 2015) has true boxes: misses, scores and
jitter are measured there, by how much of a person somebody nearer covers. Its truth leaves people out, sitting behind a
window or walking behind others, so that a box too many proves nothing there; it does in `one_by_one`, where people come
one at a time: the best box is the person, others on it are doubles, all the rest shows nobody.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import numpy as np

from contracts.spec import CameraSpec
from services.cli.counting.pipeline import open_model
from services.detector.backends.protocol import Detector
from services.detector.inference import analyze
from services.ingest.session import file_frames
from services.ingest.sources.video_file import open_video
from services.tracker.tracking.association import assign, overlaps
from services.tracker.tracking.kalman import Floats, centred, size
from services.tracker.tracking.matching import GOOD_SCORE, WEAK_SCORE
from tests.support.detector_errors import COVERED, ErrorPattern, Four, Quantiles, covered

MODELS = ("person-detection-0200", "person-detection-retail-0013", "yolox_nano", "yolo11n-int8-openvino")
FOUND_IOU = 0.4
"""Overlap with a person from which a box shows them."""
DOUBLE_PART = 0.5
"""Part of a box left over, or of the person's, that lies in the other: from here it shows the person once more."""
DECILES = np.linspace(0, 1, 11)

Frame = tuple[Floats, Floats]
"""Boxes (N, 4) x1, y1, x2, y2 in pixels, and scores (N,), best first; without those that the tracker never looks at."""


def look(detector: Detector, clip: Path) -> Iterator[Frame]:
    """A detector's detections in each frame of a clip."""
    source = open_video(clip)
    spec = CameraSpec(store="store", camera="camera", model=detector.model.name, policy=source.policy)
    for frame in file_frames(source, spec, session="errors", start=0):
        if frame.header.end is None:
            seen = analyze(frame.header, frame.jpeg, detector)
            boxes, scores = np.array(seen.boxes, np.float64).reshape(-1, 4), np.array(seen.scores, np.float64)
            order = np.argsort(-scores, kind="stable")[: (scores >= WEAK_SCORE).sum()]
            yield boxes[order], scores[order]


class Street:
    """The detections of people whose true boxes are known."""

    def __init__(self) -> None:
        self.scores: dict[tuple[int, int], tuple[int, float]] = {}
        """By person and frame: how hidden they are, and the score, 0 where they are missed."""
        self.off: dict[tuple[int, int], tuple[int, Floats]] = {}
        """By person and frame: how hidden they are, and how far the box lies from theirs."""

    def compare(self, number: int, people: dict[int, Floats], frame: Frame) -> None:
        """Take in one frame: the true boxes by person, and what was found."""
        boxes, scores = frame
        truth = np.array(list(people.values())).reshape(-1, 4)
        iou, _ = overlaps(truth, boxes)
        rows, columns = assign(1.0 - iou, 1.0 - FOUND_IOU)
        found = dict(zip(rows.tolist(), columns.tolist(), strict=True))
        parts = covered([(x1, y1, x2, y2) for x1, y1, x2, y2 in truth.tolist()])
        for row, (person, part) in enumerate(zip(people, parts, strict=True)):
            hidden = sum(part >= limit for limit in COVERED)
            self.scores[person, number] = hidden, float(scores[found[row]]) if row in found else 0.0
            if row in found:
                self.off[person, number] = hidden, _off(truth[row], boxes[found[row]])


class Alone:
    """The detections besides people who walk alone."""

    def __init__(self) -> None:
        self.frames = 0
        self.tall: list[float] = []
        self.double_scores: list[float] = []
        self.double_off: list[Floats] = []
        self.false_scores: list[float] = []
        self.false_tall: list[float] = []
        self.stayed: list[bool] = []
        self._before: Floats = np.empty((0, 4))

    def take(self, frame: Frame) -> None:
        """Take in one frame."""
        boxes, scores = frame
        self.frames += 1
        false = np.ones(len(boxes), np.bool_)
        if len(boxes) and scores[0] >= GOOD_SCORE:
            self.tall.append(float(np.ptp(boxes[0, 1::2])))
            _, part = overlaps(boxes[:1], boxes)
            double = part[0] >= DOUBLE_PART
            self.double_scores += scores[double][1:].tolist()
            self.double_off += [_off(boxes[0], box) for box in boxes[double][1:]]
            false &= ~double
        self.false_scores += scores[false].tolist()
        self.false_tall += np.ptp(boxes[false][:, 1::2], axis=1).tolist()
        again, _ = overlaps(self._before, boxes)
        self.stayed += (again.max(axis=1, initial=0.0) >= FOUND_IOU).tolist()
        self._before = boxes[false]


def pattern(street: Street, street_fps: float, alone: Alone, alone_fps: float) -> ErrorPattern:
    """All of it in figures."""
    by_hiding = [[score for hidden, score in street.scores.values() if hidden == level] for level in range(3)]
    plain, half, most = ([score for score in scores if score] for scores in by_hiding)
    missed = [round(scores.count(0.0) / len(scores), 3) for scores in by_hiding]
    return ErrorPattern(
        missed=(missed[0], missed[1], missed[2]),
        scores=(_quantiles(plain), _quantiles(half), _quantiles(most)),
        luck=_lasts({at: (hidden, np.array([score])) for at, (hidden, score) in street.scores.items()}, street_fps),
        jitter=(
            _four(np.std([off for hidden, off in street.off.values() if hidden == 0], axis=0)),
            _four(np.std([off for hidden, off in street.off.values() if hidden > 0], axis=0)),
        ),
        jitter_lasts=_lasts(street.off, street_fps),
        doubles=round(len(alone.double_scores) / len(alone.tall), 3),
        double_scores=_quantiles(alone.double_scores),
        double_lies=_four(np.mean(alone.double_off, axis=0)),
        double_off=_four(np.std(alone.double_off, axis=0)),
        false=round(len(alone.false_scores) / alone.frames, 3),
        false_scores=_quantiles(alone.false_scores),
        false_tall=round(float(np.median(alone.false_tall) / np.median(alone.tall)), 2),
        false_lasts=round(-1 / alone_fps / math.log(float(np.mean(alone.stayed))), 2),
    )


def _off(person: Floats, box: Floats) -> Floats:
    """(4,) how far a box's cx, cy, w, h lie from the person's, in person sizes."""
    true = centred(person[None])
    return np.asarray((centred(box[None]) - true)[0] / size(true)[0])


def _quantiles(values: Sequence[float]) -> Quantiles:
    return tuple(round(float(value), 2) for value in np.quantile(values, DECILES))


def _four(values: Floats) -> Four:
    cx, cy, w, h = (round(float(value), 3) for value in values)
    return cx, cy, w, h


def _lasts(series: dict[tuple[int, int], tuple[int, Floats]], fps: float) -> float:
    """Seconds in which the correlation of a series of each person falls to 1/e, by that of successive frames."""
    levels = [np.mean([value for h, value in series.values() if h == hidden], axis=0) for hidden in range(3)]
    left = {at: value - levels[hidden] for at, (hidden, value) in series.items()}
    pairs = [(left[a], left[b]) for a, b in pairwise(sorted(left)) if (a[0], a[1] + 1) == b]
    before, after = (np.array([pair[i] for pair in pairs]) for i in (0, 1))
    correlation = (before * after).mean(axis=0) / np.sqrt((before**2).mean(axis=0) * (after**2).mean(axis=0))
    return round(-1 / fps / math.log(float(correlation.mean())), 3)


def true_boxes(path: Path) -> dict[int, dict[int, Floats]]:
    """The people of each frame, from MOT text: x1, y1, x2, y2 by person, by frame from 1."""
    people: dict[int, dict[int, Floats]] = {}
    for frame, person, left, top, width, height in np.loadtxt(path, delimiter=",")[:, :6].tolist():
        people.setdefault(int(frame), {})[int(person)] = np.array([left, top, left + width, top + height])
    return people


def main() -> None:
    """Measure and print."""
    if "METRICA_TEST_DATA" not in os.environ:
        sys.exit("METRICA_TEST_DATA names the folder that holds videos/ and mot/TUD-Campus/gt/gt.txt")
    footage = Path(os.environ["METRICA_TEST_DATA"])
    os.environ.setdefault("METRICA_MODELS", str(footage / "models"))
    truth = true_boxes(footage / "mot" / "TUD-Campus" / "gt" / "gt.txt")
    for model in MODELS:
        detector, street, alone = open_model(model, lambda *_: None), Street(), Alone()
        for number, frame in enumerate(look(detector, footage / "videos" / "tud_campus.mp4"), start=1):
            street.compare(number, truth.get(number, {}), frame)
        for frame in look(detector, footage / "videos" / "one_by_one.mp4"):
            alone.take(frame)
        print(f'"{model}": ErrorPattern(')
        measured = pattern(street, 25.0, alone, 10.0)
        for part in fields(measured):
            print(f"    {part.name}={getattr(measured, part.name)},")
        print("),", flush=True)


if __name__ == "__main__":
    main()
