"""`metrica eval` on MOT text: accuracy of the tracker alone, on given detections and truth."""

from __future__ import annotations

import json
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.cli.console.errors import CommandError
from services.cli.evaluation.mot_metrics import MotScore, combined, score_tracks
from services.cli.evaluation.mot_text import Boxes, Sequence, find_sequences, read_sequence
from services.tracker.tracking.kalman import MIN_SIZE
from services.tracker.tracking.tracker import Tracker

ALL = "all"


@dataclass(frozen=True, slots=True)
class SequenceScore:
    """A sequence and the score of its tracks."""

    name: str
    fps: float
    frames: int
    score: MotScore

    def as_json(self) -> dict[str, str | int | float]:
        """Return the sequence's object for `--json`."""
        return {"sequence": self.name, "fps": self.fps, "frames": self.frames, **self.score.as_json()}


def is_mot(folder: Path) -> bool:
    """Tell if a folder contains MOT text rather than clips."""
    return not (folder / "truth.json").exists() and bool(find_sequences(folder))


def evaluate_mot(folder: Path, *, fps: float | None = None, as_json: bool = False) -> None:
    """Track the sequences of a folder, and print the scores.

    Args:
        folder: one for which `is_mot` is true.
        fps: frames per second of the sequences; None for each sequence's own.
        as_json: print one JSON object instead of a table.

    Raises:
        CommandError: a file cannot be parsed, or the rate is invalid.
    """
    if fps is not None and not 0 < fps < float("inf"):
        raise CommandError(f"--fps {fps:g}: give more than 0 frames per second")
    sequences = [read_sequence(path, fps) for path in find_sequences(folder)]
    results = [
        SequenceScore(each.name, each.fps, each.frames, score_tracks(each.truth, track(each), each.frames))
        for each in sequences
    ]
    if as_json:
        sums = combined([result.score for result in results]).as_json()
        print(json.dumps({"sequences": [result.as_json() for result in results], ALL: sums}))
    else:
        _show(results)


def track(sequence: Sequence) -> Boxes:
    """Run the tracker over a sequence, and return the boxes of the tracks that are confirmed in each frame.

    The result is online: it holds only facts that a live dashboard could have displayed at that frame. As in the
    service, scores are clipped to 0 … 1, and boxes below the least size are left out.
    """
    tracker = Tracker()
    rows: list[tuple[int, int]] = []
    boxes: list[tuple[float, float, float, float]] = []
    for frame, detected in enumerate(sequence.detections.by_frame(sequence.frames), start=1):
        valid = detected.take(np.all(detected.corners[:, 2:] - detected.corners[:, :2] >= MIN_SIZE, axis=1))
        for person in tracker.step(valid.corners, np.clip(valid.score, 0.0, 1.0), 1.0 / sequence.fps).seen:
            if person.confirmed:
                rows.append((frame, person.track))
                boxes.append(person.box)
    frames, names = np.array(rows, np.int64).reshape(-1, 2).T
    return Boxes.of(frames, names, np.array(boxes, np.float64).reshape(-1, 4))


def _show(results: Many[SequenceScore]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="tracks / truth", title_justify="left", show_footer=len(results) > 1)
    sums = combined([result.score for result in results])
    table.add_column("sequence", footer=ALL)
    table.add_column("fps", justify="right")
    table.add_column("frames", justify="right", footer=str(sum(result.frames for result in results)))
    for heading, footer in zip(HEADINGS, cells(sums), strict=True):
        table.add_column(heading, justify="right", footer=footer)
    for result in results:
        table.add_row(result.name, f"{result.fps:g}", str(result.frames), *cells(result.score))
    Console().print(table)


HEADINGS = ("MOTA", "IDF1", "HOTA", "IDsw", "false", "missed")


def cells(score: MotScore) -> tuple[str, ...]:
    """Format a score for the columns of `HEADINGS`."""
    percents = (f"{figure:.1f}" for figure in (score.mota, score.idf1, score.hota))
    return (*percents, str(score.switches), str(score.false), str(score.missed))
