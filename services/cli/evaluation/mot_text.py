"""MOT text: the files of MOTChallenge for detections, truth and tracks.

    NAME/det/det.txt   frame, −1, left, top, width, height, score …
    NAME/gt/gt.txt     frame, person, left, top, width, height, flag …, see `GroundTruth`
    NAME/seqinfo.ini   [Sequence] frameRate, seqLength; may be missing

Frames count from 1, lengths are pixels. The format: Leal-Taixé et al., MOTChallenge 2015 (arXiv:1504.01942), and Milan
et al., MOT16 (arXiv:1603.00831).
"""

from __future__ import annotations

from collections.abc import Iterator
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.cli.console.errors import CommandError
from services.tracker.tracking.kalman import Floats

COMMON_FPS: Final = 25.0
"""Frames per second of a sequence without seqinfo.ini."""
PEDESTRIAN: Final = 1
DISTRACTORS: Final = (2, 7, 8, 12)
"""Classes of people that a tracker may follow or ignore: on a vehicle, static, ambiguous, reflected."""
CLASSIFIED: Final = 9
"""Number of columns of a truth with classes."""
LARGEST: Final = 1e6
"""Greatest number of frames, people or pixels: a larger one means a broken file."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Boxes:
    """N boxes of a sequence, in order of frames.

    Attributes:
        frame: (N,) from 1.
        person: (N,) id of the person; −1 in detections.
        corners: (N, 4) x1, y1, x2, y2 in pixels.
        score: (N,) a detection's score, or the flag of a true box.
        kind: (N,) a true box's class; `PEDESTRIAN` in a file without classes.
    """

    frame: Numbers
    person: Numbers
    corners: Floats
    score: Floats
    kind: Numbers

    @classmethod
    def of(cls, frame: Numbers, person: Numbers, corners: Floats) -> Boxes:
        """Make boxes of tracks, with the full score."""
        return cls(frame, person, corners, np.ones(len(frame)), np.full(len(frame), PEDESTRIAN, np.int64))

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: NDArray[np.bool_] | slice) -> Boxes:
        """Return the selected boxes."""
        return Boxes(self.frame[rows], self.person[rows], self.corners[rows], self.score[rows], self.kind[rows])

    def by_frame(self, frames: int) -> Iterator[Boxes]:
        """Yield the boxes of each frame, from 1 to `frames`."""
        for start, end in pairwise(np.searchsorted(self.frame, np.arange(1, frames + 2)).tolist()):
            yield self.take(slice(start, end))


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """True boxes, selected as in the official evaluation (TrackEval, mot_challenge_2d_box.py).

    A row of nine columns, of 2016 and later, has a class: a pedestrian, one of the `DISTRACTORS`, or another object.
    Any other row is a person. A flag of 0 excludes a row from the people.

    Attributes:
        people: the boxes that must be found.
        ignored: the distractors' boxes: a track there is neither right nor wrong.
    """

    people: Boxes
    ignored: Boxes


@dataclass(frozen=True, slots=True)
class Sequence:
    """A scene with its detections and its truth."""

    name: str
    fps: float
    frames: int
    detections: Boxes
    truth: GroundTruth


def find_sequences(folder: Path) -> list[Path]:
    """List the sequences in a folder by name, or the folder itself if it is one; empty without MOT text."""
    if _is_sequence(folder):
        return [folder]
    return sorted(child for child in folder.glob("*/") if _is_sequence(child))


def read_sequence(folder: Path, fps: float | None = None) -> Sequence:
    """Read a sequence.

    Args:
        folder: of the sequence.
        fps: its frames per second; None for that of seqinfo.ini, or `COMMON_FPS`.

    Raises:
        CommandError: a file is missing or cannot be parsed; the text gives the file and the line.
    """
    detections = read_boxes(folder / "det" / "det.txt", "it holds the boxes to track")
    path = folder / "gt" / "gt.txt"
    true = read_boxes(path, "it holds the true boxes, and without them there is nothing to compare with")
    truth = GroundTruth(
        true.take((true.score != 0) & (true.kind == PEDESTRIAN)), true.take(np.isin(true.kind, DISTRACTORS))
    )
    if not len(truth.people):
        raise CommandError(f"{path}: it contains no person")
    _refuse_twins(path, truth.people)
    own_fps, own_frames = _read_info(folder / "seqinfo.ini")
    last = max(int(boxes.frame.max(initial=0)) for boxes in (detections, true))
    return Sequence(folder.resolve().name, fps or own_fps or COMMON_FPS, max(own_frames or 0, last), detections, truth)


def _is_sequence(folder: Path) -> bool:
    return any((folder / kind / f"{kind}.txt").is_file() for kind in ("det", "gt"))


def read_boxes(path: Path, purpose: str) -> Boxes:
    """Read a file of MOT text. `purpose` is its use, for errors.

    Raises:
        CommandError: as `read_sequence`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}; {purpose}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is no text; {purpose}") from error
    rows = [_parse(f"{path}, line {number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
    table = np.array(rows, np.float64).reshape(-1, 8)
    table = table[np.argsort(table[:, 0], kind="stable")]
    frame, person, kind = table[:, [0, 1, 7]].astype(np.int64).T
    return Boxes(frame, person, np.hstack([table[:, 2:4], table[:, 2:4] + table[:, 4:6]]), table[:, 6], kind)


def _parse(where: str, line: str) -> list[float]:
    """Parse a row: frame, person, left, top, width, height, score and class."""
    try:
        row = [float(part) for part in line.split(",")]
    except ValueError:
        raise CommandError(f"{where}: expected numbers with commas between them, not {line.strip()[:60]!r}") from None
    if len(row) < 7:
        raise CommandError(f"{where}: {len(row)} columns; expected frame, person, left, top, width, height, score")
    kind = row[7] if len(row) == CLASSIFIED else PEDESTRIAN
    row = [*row[:7], kind]
    if not all(abs(number) <= LARGEST for number in row):
        raise CommandError(f"{where}: {line.strip()[:60]!r} has a number that is not finite, or much too large")
    if row[0] < 1 or not row[0].is_integer():
        raise CommandError(f"{where}: frame {row[0]:g}: frames are counted 1, 2, 3 …")
    if row[4] <= 0 or row[5] <= 0:
        raise CommandError(f"{where}: a box {row[4]:g} wide and {row[5]:g} high")
    return row


def _refuse_twins(path: Path, boxes: Boxes) -> None:
    """Check that no person is twice in a frame.

    Raises:
        CommandError: one is.
    """
    names = np.stack([boxes.frame, boxes.person], axis=1)
    unique, times = np.unique(names, axis=0, return_counts=True)
    for frame, person in unique[times > 1].tolist():
        raise CommandError(f"{path}: {person} is twice in frame {frame}")


def _read_info(path: Path) -> tuple[float | None, int | None]:
    """Read the frames per second and the number of frames from seqinfo.ini; None for missing ones."""
    info = ConfigParser()
    try:
        info.read(path, encoding="utf-8")
        fps, frames = (
            info.getfloat("Sequence", "frameRate", fallback=None),
            info.getint("Sequence", "seqLength", fallback=None),
        )
    except (ConfigError, ValueError) as error:
        raise CommandError(f"{path}: {' '.join(str(error).split())}") from error
    if fps is not None and not 0 < fps <= LARGEST:
        raise CommandError(f"{path}: frameRate {fps:g}: it must be more than 0 frames per second")
    return fps, frames
