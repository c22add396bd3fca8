"""Other people's trackers over MOT text: `python mot_rivals.py OUT SEQUENCE…`, in the environment of `bench_mot`.

It knows nothing of Metrica. Each tracker has its own defaults, and is told the frame rate where it asks for one. What
it gives out for a frame while it watches is written down, and nothing is added afterwards.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

os.environ["YOLO_AUTOINSTALL"] = "false"

import supervision as sv
import trackers
from ultralytics.trackers import byte_tracker
from ultralytics.utils import YAML, IterableSimpleNamespace
from ultralytics.utils.checks import check_yaml

Floats = NDArray[np.float32]
Row = tuple[int, float, float, float, float]
"""A track's number and its box, x1, y1, x2, y2."""
Rival = Callable[[Floats, Floats], list[Row]]
"""Takes a frame's boxes (N, 4) x1, y1, x2, y2 and scores (N,)."""


class Found:
    """A frame's boxes as Ultralytics' trackers read them."""

    def __init__(self, xyxy: Floats, conf: Floats) -> None:
        self.xyxy, self.conf, self.cls = xyxy, conf, np.zeros(len(conf))
        self.xywh = np.hstack([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]])

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, rows: NDArray[Any]) -> Found:
        return Found(self.xyxy[rows], self.conf[rows])


class Updated(Protocol):
    """A tracker of the package `trackers`."""

    def update(self, detections: sv.Detections) -> sv.Detections: ...


def of_trackers(tracker: Updated) -> Rival:
    """One of the package `trackers`."""

    def step(boxes: Floats, scores: Floats) -> list[Row]:
        found = sv.Detections(xyxy=boxes, confidence=scores, class_id=np.zeros(len(scores), int))
        tracked = tracker.update(found)
        names = [] if tracked.tracker_id is None else tracked.tracker_id.tolist()
        return [(name, *box) for name, box in zip(names, tracked.xyxy.tolist(), strict=True) if name >= 0]

    return step


def of_ultralytics() -> Rival:
    """Ultralytics' BYTETracker, which asks for no frame rate."""
    settings = IterableSimpleNamespace(**YAML.load(check_yaml("bytetrack.yaml")))
    tracker = byte_tracker.BYTETracker(settings)

    def step(boxes: Floats, scores: Floats) -> list[Row]:
        return [(int(row[4]), *row[:4]) for row in tracker.update(Found(boxes, scores)).tolist()]

    return step


RIVALS: dict[str, Callable[[float], Rival]] = {
    "SORT": lambda fps: of_trackers(trackers.SORTTracker(frame_rate=fps)),
    "OC-SORT": lambda fps: of_trackers(trackers.OCSORTTracker(frame_rate=fps)),
    "BYTETracker (Ultralytics)": lambda _: of_ultralytics(),
    "ByteTrack": lambda fps: of_trackers(trackers.ByteTrackTracker(frame_rate=fps)),
    "C-BIoU": lambda fps: of_trackers(trackers.CBIoUTracker(frame_rate=fps)),
    "BoT-SORT, no pictures": lambda fps: of_trackers(trackers.BoTSORTTracker(frame_rate=fps, enable_cmc=False)),
}


def follow(rival: Rival, rows: NDArray[np.float64], frames: int) -> tuple[list[str], float]:
    """A tracker's tracks of a sequence, as lines of MOT text, and the seconds of a frame: the median."""
    lines: list[str] = []
    times: list[float] = []
    for frame in range(1, frames + 1):
        there = rows[rows[:, 0] == frame].astype(np.float32)
        boxes, scores = np.hstack([there[:, 2:4], there[:, 2:4] + there[:, 4:6]]), there[:, 6]
        started = time.perf_counter()
        found = rival(boxes, scores)
        times.append(time.perf_counter() - started)
        for name, x1, y1, x2, y2 in found:
            lines.append(f"{frame},{name},{x1},{y1},{x2 - x1},{y2 - y1},1,-1,-1,-1")
    return lines, statistics.median(times)


def main() -> None:
    """Write OUT/TRACKER/SEQUENCE.txt, and OUT/ms.json with the milliseconds a frame took by tracker and sequence."""
    out, *sequences = map(Path, sys.argv[1:])
    ms: dict[str, dict[str, float]] = {name: {} for name in RIVALS}
    for sequence in sequences:
        info = ConfigParser()
        info.read(sequence / "seqinfo.ini")
        fps, frames = info.getfloat("Sequence", "frameRate"), info.getint("Sequence", "seqLength")
        rows = np.loadtxt(sequence / "det" / "det.txt", delimiter=",", ndmin=2)
        for name, make in RIVALS.items():
            lines, seconds = follow(make(fps), rows, frames)
            (out / name).mkdir(parents=True, exist_ok=True)
            (out / name / f"{sequence.name}.txt").write_text("\n".join(lines) + "\n")
            ms[name][sequence.name] = 1000 * seconds
    (out / "ms.json").write_text(json.dumps(ms))


if __name__ == "__main__":
    main()
