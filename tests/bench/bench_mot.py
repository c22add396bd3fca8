"""Metrica's tracker beside others on MOT text: `python -m tests.bench.bench_mot [FOLDER] [--spoilt]`.

The others run in an environment of their own, which is made at the first call (some hundred megabytes): pip takes the
CPU's torch where PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu tells it of one. All are
given the same boxes and scores and their own defaults, say for each frame what they know by then, and are judged by
the code of `metrica eval`. `--spoilt` takes each sequence at its own rate, a half, a third, a quarter and a fifth of
it, beginning at each of the first frames, forwards and backwards: 30 variants, so that no luck with one frame decides.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.cli.evaluation.mot import HEADINGS, cells, track
from services.cli.evaluation.mot_metrics import MotScore, combined, score_tracks
from services.cli.evaluation.mot_text import Boxes, Sequence, find_sequences, read_boxes, read_sequence
from services.tracker.tracking.tracker import Tracker

PINNED = ("trackers==2.6.1", "ultralytics-opencv-headless==8.4.190", "torch==2.13.0", "lap==0.5.13")
OURS = "Metrica"
STEPS = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Ran:
    """A tracker's scores on a sequence, and the milliseconds of a frame: the median."""

    fit: MotScore
    ms: float


def environment() -> Path:
    """The Python of the others' environment; makes it if there is none of these versions."""
    cache = Path(os.environ.get("METRICA_CACHE") or Path.home() / ".cache" / "metrica") / "bench-mot"
    python, made = cache / "bin" / "python", cache / "made-of"
    if not made.exists() or made.read_text() != "\n".join(PINNED):
        print(f"installing {', '.join(PINNED)} into {cache}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", cache], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--prefer-binary", *PINNED], check=True)
        made.write_text("\n".join(PINNED))
    return python


def variants(sequence: Sequence) -> Iterator[Sequence]:
    """The sequence at lower rates, forwards and backwards."""
    for backwards in (False, True):
        for step in STEPS:
            for first in range(step):
                name = f"{sequence.name}{'-back' * backwards}-{first}-of-{step}"
                yield Sequence(
                    name,
                    sequence.fps / step,
                    len(range(first, sequence.frames, step)),
                    _every(sequence.detections, sequence.frames, step, first, backwards=backwards),
                    type(sequence.truth)(
                        _every(sequence.truth.people, sequence.frames, step, first, backwards=backwards),
                        _every(sequence.truth.ignored, sequence.frames, step, first, backwards=backwards),
                    ),
                )


def _every(boxes: Boxes, frames: int, step: int, first: int, *, backwards: bool) -> Boxes:
    frame = frames + 1 - boxes.frame if backwards else boxes.frame
    kept = np.flatnonzero((frame - 1) % step == first)
    kept = kept[np.argsort(frame[kept], kind="stable")]
    return Boxes(
        (frame[kept] - 1 - first) // step + 1,
        boxes.person[kept],
        boxes.corners[kept],
        boxes.score[kept],
        boxes.kind[kept],
    )


def write(sequence: Sequence, folder: Path) -> None:
    """The sequence's detections as MOT text."""
    (folder / "det").mkdir(parents=True)
    info = f"[Sequence]\nframeRate={sequence.fps!r}\nseqLength={sequence.frames}\n"
    (folder / "seqinfo.ini").write_text(info)
    found = sequence.detections
    with (folder / "det" / "det.txt").open("w") as file:
        for frame, (x1, y1, x2, y2), score in zip(found.frame, found.corners.tolist(), found.score, strict=True):
            file.write(f"{frame},-1,{x1},{y1},{x2 - x1},{y2 - y1},{score},-1,-1,-1\n")


def ours(sequences: list[Sequence]) -> list[Ran]:
    """Metrica's tracker. Like the others it is timed without the reading of rows."""
    results = []
    for sequence in sequences:
        tracker, frames = Tracker(), list(sequence.detections.by_frame(sequence.frames))
        times = []
        for found in frames:
            started = time.perf_counter()
            tracker.step(found.corners, found.score, 1 / sequence.fps)
            times.append(time.perf_counter() - started)
        scene = score_tracks(sequence.truth, track(sequence), sequence.frames)
        results.append(Ran(scene, 1000 * statistics.median(times)))
    return results


def theirs(sequences: list[Sequence]) -> dict[str, list[Ran]]:
    """The other trackers, by name."""
    python = environment()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for sequence in sequences:
            write(sequence, folder / "in" / sequence.name)
        inputs = [folder / "in" / sequence.name for sequence in sequences]
        settings = os.environ | {"YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "true"}
        script = Path(__file__).with_name("mot_rivals.py")
        subprocess.run([python, script, folder / "out", *inputs], check=True, env=settings, stdout=subprocess.DEVNULL)
        ms: dict[str, dict[str, float]] = json.loads((folder / "out" / "ms.json").read_text())
        return {
            rival: [
                Ran(
                    score_tracks(
                        sequence.truth,
                        read_boxes(folder / "out" / rival / f"{sequence.name}.txt", "it contains the tracks"),
                        sequence.frames,
                    ),
                    times[sequence.name],
                )
                for sequence in sequences
            ]
            for rival, times in ms.items()
        }


def table(title: str, results: dict[str, list[Ran]], rows: slice) -> None:
    """Print one line a tracker, over some of the sequences together."""
    print(f"\n{title}\n{'':26}" + "".join(f"{heading:>8}" for heading in HEADINGS) + "  ms a frame")
    for name, ran in results.items():
        figures = cells(combined([one.fit for one in ran[rows]]))
        ms = sum(one.ms for one in ran[rows]) / len(ran[rows])
        print(f"{name:26}" + "".join(f"{figure:>8}" for figure in figures) + f"{ms:12.2f}")


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path, nargs="?", default=None)
    arguments.add_argument("--spoilt", action="store_true")
    given = arguments.parse_args()
    folder = given.folder or Path(os.environ["METRICA_TEST_DATA"], "mot")
    whole = [read_sequence(found) for found in find_sequences(folder)]
    groups = [list(variants(sequence)) if given.spoilt else [sequence] for sequence in whole]
    sequences = [one for group in groups for one in group]
    results = {OURS: ours(sequences)} | theirs(sequences)
    start = 0
    for sequence, group in zip(whole, groups, strict=True):
        title = f"{sequence.name}, {len(group)} variants" if given.spoilt else f"{sequence.name}, {sequence.fps:g} fps"
        table(title, results, slice(start, start + len(group)))
        start += len(group)
    if len(whole) > 1:
        table("all", results, slice(None))


if __name__ == "__main__":
    main()
