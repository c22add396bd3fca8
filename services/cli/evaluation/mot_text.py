"""MOT text: the files in which MOTChallenge writes detections, truth and tracks.

    NAME/det/det.txt   frame, −1, left, top, width, height, score …
    NAME/gt/gt.txt     frame, person, left, top, width, height, flag …, see `Truth`
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

from services.cli.console.errors import Refused
from services.tracker.tracking.kalman import Floats

COMMON_FPS: Final = 25.0
"""Of a sequence that does not say."""
PEDESTRIAN: Final = 1
DISTRACTORS: Final = (2, 7, 8, 12)
"""Classes of people whom a tracker may follow or not: on a vehicle, static, hard to tell, mirrored."""
CLASSIFIED: Final = 9
"""Columns of a truth that names classes."""
LARGEST: Final = 1e6
"""Neither frames nor people nor pixels are more: what is, is a broken file."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Boxes:
    """N boxes of a sequence, in the order of its frames.

    Attributes:
        frame: (N,) from 1.
        person: (N,) who it is; −1 in detections.
        corners: (N, 4) x1, y1, x2, y2 in pixels.
        score: (N,) a detection's score, or the flag of a true box.
        kind: (N,) a true box's class; `PEDESTRIAN` where the file names none.
    """

    frame: Numbers
    person: Numbers
    corners: Floats
    score: Floats
    kind: Numbers

    @classmethod
    def of(cls, frame: Numbers, person: Numbers, corners: Floats) -> Boxes:
        """Tracks: the boxes of people, with full score."""
        return cls(frame, person, corners, np.ones(len(frame)), np.full(len(frame), PEDESTRIAN, np.int64))

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: NDArray[np.bool_] | slice) -> Boxes:
        """Some of the boxes."""
        return Boxes(self.frame[rows], self.person[rows], self.corners[rows], self.score[rows], self.kind[rows])

    def by_frame(self, frames: int) -> Iterator[Boxes]:
        """The boxes of each frame from the first to this one."""
        for start, end in pairwise(np.searchsorted(self.frame, np.arange(1, frames + 2)).tolist()):
            yield self.take(slice(start, end))


@dataclass(frozen=True, slots=True)
class Truth:
    """True boxes, chosen as the official evaluation does (TrackEval, mot_challenge_2d_box.py).

    A row of nine columns, of 2016 and later, names a class: a pedestrian, one of the `DISTRACTORS`, or something that
    is nobody. Any other row is a person. A flag of 0 takes a row out of the people.

    Attributes:
        people: the boxes that have to be found.
        ignored: the distractors' boxes: a track there is neither right nor wrong.
    """

    people: Boxes
    ignored: Boxes


@dataclass(frozen=True, slots=True)
class Sequence:
    """One filmed scene with its detections and its truth."""

    name: str
    fps: float
    frames: int
    detections: Boxes
    truth: Truth


def find_sequences(folder: Path) -> list[Path]:
    """The sequences that a folder is or holds, by name; none if it holds no MOT text."""
    if _is_sequence(folder):
        return [folder]
    return sorted(child for child in folder.glob("*/") if _is_sequence(child))


def read_sequence(folder: Path, fps: float | None = None) -> Sequence:
    """Read a sequence.

    Args:
        folder: its own.
        fps: its frames per second; None: as seqinfo.ini says, or `COMMON_FPS`.

    Raises:
        Refused: a file is missing or cannot be understood; the text says which, and where in it.
    """
    detections = _read(folder / "det" / "det.txt", "it holds the boxes to track")
    path = folder / "gt" / "gt.txt"
    true = _read(path, "it holds the true boxes, and without them there is nothing to compare with")
    truth = Truth(true.take((true.score != 0) & (true.kind == PEDESTRIAN)), true.take(np.isin(true.kind, DISTRACTORS)))
    if not len(truth.people):
        raise Refused(f"{path}: there is nobody to be found")
    _refuse_twins(path, truth.people)
    said_fps, said_frames = _read_info(folder / "seqinfo.ini")
    last = max(int(boxes.frame.max(initial=0)) for boxes in (detections, true))
    return Sequence(
        folder.resolve().name, fps or said_fps or COMMON_FPS, max(said_frames or 0, last), detections, truth
    )


def read_tracks(path: Path) -> Boxes:
    """Read what a tracker wrote: rows as in a truth.

    Raises:
        Refused: as `read_sequence`.
    """
    tracks = _read(path, "it holds the tracks")
    _refuse_twins(path, tracks)
    return tracks


def _is_sequence(folder: Path) -> bool:
    return any((folder / kind / f"{kind}.txt").is_file() for kind in ("det", "gt"))


def _read(path: Path, purpose: str) -> Boxes:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}; {purpose}") from error
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is no text; {purpose}") from error
    rows = [_parse(f"{path}, line {number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
    table = np.array(rows, np.float64).reshape(-1, 8)
    table = table[np.argsort(table[:, 0], kind="stable")]
    frame, person, kind = table[:, [0, 1, 7]].astype(np.int64).T
    return Boxes(frame, person, np.hstack([table[:, 2:4], table[:, 2:4] + table[:, 4:6]]), table[:, 6], kind)


def _parse(where: str, line: str) -> list[float]:
    """Frame, person, left, top, width, height, score and class of a row."""
    try:
        row = [float(part) for part in line.split(",")]
    except ValueError:
        raise Refused(f"{where}: numbers with commas between them are wanted, not {line.strip()[:60]!r}") from None
    if len(row) < 7:
        raise Refused(f"{where}: {len(row)} columns; frame, person, left, top, width, height, score are wanted")
    kind = row[7] if len(row) == CLASSIFIED else PEDESTRIAN
    row = [*row[:7], kind]
    if not all(abs(number) <= LARGEST for number in row):
        raise Refused(f"{where}: {line.strip()[:60]!r} holds a number that is none, or much too large")
    if row[0] < 1 or not row[0].is_integer():
        raise Refused(f"{where}: frame {row[0]:g}: frames are counted 1, 2, 3 …")
    if row[4] <= 0 or row[5] <= 0:
        raise Refused(f"{where}: a box {row[4]:g} wide and {row[5]:g} high")
    return row


def _refuse_twins(path: Path, boxes: Boxes) -> None:
    names = np.stack([boxes.frame, boxes.person], axis=1)
    found, times = np.unique(names, axis=0, return_counts=True)
    for frame, person in found[times > 1].tolist():
        raise Refused(f"{path}: {person} is twice in frame {frame}")


def _read_info(path: Path) -> tuple[float | None, int | None]:
    """Frames per second and number of frames, as far as seqinfo.ini says."""
    info = ConfigParser()
    try:
        info.read(path, encoding="utf-8")
        fps, frames = (
            info.getfloat("Sequence", "frameRate", fallback=None),
            info.getint("Sequence", "seqLength", fallback=None),
        )
    except (ConfigError, ValueError) as error:
        raise Refused(f"{path}: {' '.join(str(error).split())}") from error
    if fps is not None and not 0 < fps <= LARGEST:
        raise Refused(f"{path}: frameRate {fps:g}: more than 0 frames a second are wanted")
    return fps, frames
