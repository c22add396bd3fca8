"""The tracks of a camera as columns, with one row per track: every step is arithmetic on whole columns."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from services.tracker.tracking.kalman import Floats, Motion, centred

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
_Four = tuple[float, float, float, float]


class TrackState(BaseModel):
    """One track in a checkpoint. Every float is exact."""

    model_config = ConfigDict(frozen=True)

    number: int
    position: _Four
    velocity: _Four
    var_position: _Four
    covariance: _Four
    var_velocity: _Four
    hits: int
    evidence: float
    score: float
    unseen: float
    away: float
    confirmed: bool


@dataclass(slots=True)
class TrackTable:
    """N tracks.

    Attributes:
        number: (N,) ids of the tracks, rising.
        motion: N filters.
        hits: (N,) frames in which they were seen.
        evidence: (N,) sum of their scores in these frames.
        score: (N,) score in the last of these frames.
        unseen: (N,) seconds since then, without skipped frames.
        away: (N,) seconds since then, including skipped frames.
        confirmed: (N,) True where the track certainly is a person.
    """

    number: NDArray[np.int64]
    motion: Motion
    hits: NDArray[np.int64]
    evidence: Floats
    score: Floats
    unseen: Floats
    away: Floats
    confirmed: Mask

    @classmethod
    def begin(cls, first: int, boxes: Floats, scores: Floats) -> Self:
        """New tracks, numbered from `first`, at (N, 4) boxes x1, y1, x2, y2 with (N,) scores."""
        count = len(boxes)
        return cls(
            number=np.arange(first, first + count, dtype=np.int64),
            motion=Motion.begin(centred(boxes)),
            hits=np.ones(count, np.int64),
            evidence=scores.copy(),
            score=scores.copy(),
            unseen=np.zeros(count),
            away=np.zeros(count),
            confirmed=np.zeros(count, np.bool_),
        )

    @classmethod
    def empty(cls) -> Self:
        """No tracks."""
        return cls.begin(1, np.empty((0, 4)), np.empty(0))

    def __len__(self) -> int:
        return len(self.number)

    def take(self, rows: Rows | Mask) -> Self:
        """Some of the tracks."""
        columns = {column.name: getattr(self, column.name)[rows] for column in fields(self) if column.name != "motion"}
        return replace(self, motion=self.motion.take(rows), **columns)

    def join(self, other: Self) -> Self:
        """These tracks, then the other's."""
        names = [column.name for column in fields(self) if column.name != "motion"]
        columns = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        return replace(self, motion=self.motion.join(other.motion), **columns)

    def state(self) -> tuple[TrackState, ...]:
        """The tracks one by one, for a checkpoint."""
        motion, names = fields(self.motion), [column.name for column in fields(self) if column.name != "motion"]
        columns = {column.name: getattr(self.motion, column.name).tolist() for column in motion}
        columns |= {name: getattr(self, name).tolist() for name in names}
        rows = zip(*columns.values(), strict=True)
        return tuple(TrackState.model_validate(dict(zip(columns, row, strict=True))) for row in rows)

    @classmethod
    def restore(cls, tracks: tuple[TrackState, ...]) -> Self:
        """The table of tracks from a checkpoint, bit for bit."""
        return cls(
            number=np.array([track.number for track in tracks], np.int64),
            motion=Motion(
                *(
                    np.array([getattr(track, part.name) for track in tracks], np.float64).reshape(-1, 4)
                    for part in fields(Motion)
                )
            ),
            hits=np.array([track.hits for track in tracks], np.int64),
            evidence=np.array([track.evidence for track in tracks], np.float64),
            score=np.array([track.score for track in tracks], np.float64),
            unseen=np.array([track.unseen for track in tracks], np.float64),
            away=np.array([track.away for track in tracks], np.float64),
            confirmed=np.array([track.confirmed for track in tracks], np.bool_),
        )
