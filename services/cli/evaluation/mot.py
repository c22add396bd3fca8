"""`metrica eval` on MOT text: how well the tracker holds identities, on detections and truth that are given."""

from __future__ import annotations

import json
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.cli.console.errors import Refused
from services.cli.evaluation.mot_metrics import Fit, fit, together
from services.cli.evaluation.mot_text import Boxes, Sequence, find_sequences, read_sequence
from services.tracker.tracking.kalman import MIN_SIZE
from services.tracker.tracking.tracker import Tracker

ALL = "all"


@dataclass(frozen=True, slots=True)
class Tracked:
    """A sequence and how well it was tracked."""

    name: str
    fps: float
    frames: int
    fit: Fit

    def as_json(self) -> dict[str, str | int | float]:
        """The sequence's object in `--json`."""
        return {"sequence": self.name, "fps": self.fps, "frames": self.frames, **self.fit.as_json()}


def is_mot(folder: Path) -> bool:
    """Whether a folder holds MOT text rather than clips."""
    return not (folder / "truth.json").exists() and bool(find_sequences(folder))


def evaluate_mot(folder: Path, *, fps: float | None = None, as_json: bool = False) -> None:
    """Track the sequences that a folder is or holds, and print how well that fits their truth.

    Args:
        folder: one that `is_mot`.
        fps: frames per second of the sequences; None: as each of them says.
        as_json: one JSON object instead of a table.

    Raises:
        Refused: a file cannot be understood, or the rate is none.
    """
    if fps is not None and not 0 < fps < float("inf"):
        raise Refused(f"--fps {fps:g}: more than 0 frames a second are wanted")
    sequences = [read_sequence(found, fps) for found in find_sequences(folder)]
    results = [
        Tracked(found.name, found.fps, found.frames, fit(found.truth, track(found), found.frames))
        for found in sequences
    ]
    if as_json:
        sums = together([result.fit for result in results]).as_json()
        print(json.dumps({"sequences": [result.as_json() for result in results], ALL: sums}))
    else:
        _show(results)


def track(sequence: Sequence) -> Boxes:
    """What the tracker says while it watches: in each frame the people who are found in it and confirmed by then.

    Nothing is added afterwards: what a live dashboard could not have known is not in it. Scores beyond 0 … 1 are taken
    as 0 and 1, and slivers are left out, as the service does.
    """
    tracker = Tracker()
    rows: list[tuple[int, int]] = []
    boxes: list[tuple[float, float, float, float]] = []
    for frame, found in enumerate(sequence.detections.by_frame(sequence.frames), start=1):
        solid = found.take(np.all(found.corners[:, 2:] - found.corners[:, :2] >= MIN_SIZE, axis=1))
        for person in tracker.step(solid.corners, np.clip(solid.score, 0.0, 1.0), 1.0 / sequence.fps).seen:
            if person.confirmed:
                rows.append((frame, person.track))
                boxes.append(person.box)
    frames, names = np.array(rows, np.int64).reshape(-1, 2).T
    return Boxes.of(frames, names, np.array(boxes, np.float64).reshape(-1, 4))


def _show(results: Many[Tracked]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="tracks / truth", title_justify="left", show_footer=len(results) > 1)
    sums = together([result.fit for result in results])
    table.add_column("sequence", footer=ALL)
    table.add_column("fps", justify="right")
    table.add_column("frames", justify="right", footer=str(sum(result.frames for result in results)))
    for heading, footer in zip(HEADINGS, cells(sums), strict=True):
        table.add_column(heading, justify="right", footer=footer)
    for result in results:
        table.add_row(result.name, f"{result.fps:g}", str(result.frames), *cells(result.fit))
    Console().print(table)


HEADINGS = ("MOTA", "IDF1", "HOTA", "IDsw", "false", "missed")


def cells(fit: Fit) -> tuple[str, ...]:
    """The figures under `HEADINGS`."""
    percents = (f"{figure:.1f}" for figure in (fit.mota, fit.idf1, fit.hota))
    return (*percents, str(fit.switches), str(fit.false), str(fit.missed))
