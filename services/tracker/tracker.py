"""Joins the boxes of successive frames into tracks of people, in ByteTrack's manner.

Each frame: all tracks move on by the time that really passed; boxes with a good score are paired with tracks first,
weak boxes (a person half hidden) then with what is left, and a good box that nobody claims begins a track. A track is
confirmed once enough has been seen of it. One that is not seen is kept for a while and looked for further and further
around, so that a person who comes out from behind a post is the one who went in.

Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, ECCV 2022 (arXiv:2110.06864); the
likelihood in place of IoU makes it independent of the frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from contracts.events import Box
from services.tracker.association import Indices, assign, costs, overlaps
from services.tracker.kalman import Floats, Motion, centred, cornered

GOOD_SCORE: Final = 0.4
"""Boxes below are weak: they go on with a track, but begin none."""
WEAK_SCORE: Final = 0.1
COST_LIMIT: Final = 2.0
"""Nats above which a box is likelier to be somebody new; see `association`."""
CONFIRM_HITS: Final = 3
CONFIRM_EVIDENCE: Final = 1.2
"""Sum of scores. With the hits: what a shadow or a poster in one or two frames does not reach."""
LOST_SECONDS: Final = 2.5
"""How long a person may stay unseen: 2 s hidden, and the frames before and after."""
DOUBTFUL_SECONDS: Final = 0.5
"""The same for a track that is not confirmed."""
WEAK_SECONDS: Final = 1.0
"""A track unseen for longer does not come back by a weak box."""
FORGOTTEN_SECONDS: Final = 5.0
"""After this long without looking at all, frames skipped or missing, nobody stands where they were."""
SAME_IOU: Final = 0.75
"""Two boxes of one frame that overlap so much are one person."""
CLAIMED_IOU: Final = 0.55
CLAIMED_PART: Final = 0.85
"""A box that overlaps a tracked person so much, or lies so far inside them, begins no track: a torso, a bag."""
MAX_BOXES: Final = 512
MAX_TRACKS: Final = 512


class TrackState(BaseModel):
    """One track as a checkpoint keeps it. Every float is exact."""

    model_config = ConfigDict(frozen=True)

    number: int
    motion: tuple[tuple[float, float, float, float], ...]
    hits: int
    evidence: float
    unseen: float
    away: float
    score: float
    confirmed: bool


class TrackerState(BaseModel):
    """All tracks, and the number that the next one gets."""

    model_config = ConfigDict(frozen=True)

    next_number: int = 1
    tracks: tuple[TrackState, ...] = ()


@dataclass(frozen=True, slots=True)
class Sighting:
    """A track's person, as the filter sees them after a frame in which they were found. Box in pixels, x1 y1 x2 y2."""

    track: int
    box: Box
    score: float
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """A track that ended; unless `confirmed` it never was a person."""

    track: int
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Sightings:
    """What one frame did to the tracks.

    Attributes:
        seen: tracks found in this frame, confirmed or not yet, by number.
        gone: tracks that ended.
    """

    seen: tuple[Sighting, ...]
    gone: tuple[Gone, ...]


class Tracker:
    """The tracks of one camera in one session. Numbers count from 1 and are never used again."""

    def __init__(self) -> None:
        self._next = 1
        self._motion = Motion.begin(np.empty((0, 4)))
        self._number = np.empty(0, np.int64)
        self._hits = np.empty(0, np.int64)
        self._confirmed = np.empty(0, np.bool_)
        self._evidence = np.empty(0)
        self._score = np.empty(0)
        self._unseen = np.empty(0)
        """Seconds since last seen, less the time of skipped frames."""
        self._away = np.empty(0)
        """Seconds since last seen."""

    def step(self, boxes: Floats, scores: Floats, seconds: float) -> Sightings:
        """Take in a frame.

        Args:
            boxes: (N, 4) x1, y1, x2, y2 in pixels, each at least a pixel or two wide and high, finite.
            scores: (N,) 0 … 1.
            seconds: since the frame before, > 0.
        """
        self._advance(seconds)
        self._unseen += seconds
        gone = self._drop(self._away > FORGOTTEN_SECONDS)
        boxes, scores = _distinct(boxes, scores)
        measured = centred(boxes)
        tracks, found = self._pair(measured, scores)
        self._see(tracks, measured[found], scores[found])
        free = np.ones(len(boxes), np.bool_)
        free[found] = False
        seen = np.concatenate([tracks, self._begin(boxes, scores, free, tracks)])
        limit = np.where(self._confirmed, LOST_SECONDS, DOUBTFUL_SECONDS)
        sightings = self._sightings(seen)
        return Sightings(sightings, gone + self._drop(self._unseen > limit))

    def skip(self, seconds: float) -> Sightings:
        """Take in a frame that nobody could look at: people move on unseen, and none is given up for it."""
        self._advance(seconds)
        return Sightings((), self._drop(self._away > FORGOTTEN_SECONDS))

    def visible(self, seconds: float) -> tuple[Sighting, ...]:
        """The confirmed tracks seen within the last so many seconds, where they are believed to be now."""
        return self._sightings(np.nonzero(self._confirmed & (self._away <= seconds))[0])

    def flush(self) -> tuple[Gone, ...]:
        """End all tracks."""
        return self._drop(np.ones(len(self._number), np.bool_))

    def resize(self, x: float, y: float) -> None:
        """Go on in pixels of a frame that is `x` times as wide and `y` times as high."""
        self._motion.resize(x, y)

    def _advance(self, seconds: float) -> None:
        self._motion.predict(seconds)
        self._away += seconds

    def _pair(self, measured: Floats, scores: Floats) -> tuple[Indices, Indices]:
        """Two passes: good boxes, then weak ones with the tracks that are left and were seen of late."""
        cost = costs(self._motion, measured)
        good = np.nonzero(scores >= GOOD_SCORE)[0]
        rows, columns = assign(cost[:, good], COST_LIMIT)
        left = self._unseen <= WEAK_SECONDS
        left[rows] = False
        left_rows, weak = np.nonzero(left)[0], np.nonzero((scores >= WEAK_SCORE) & (scores < GOOD_SCORE))[0]
        more_rows, more_columns = assign(cost[np.ix_(left_rows, weak)], COST_LIMIT)
        return (
            np.concatenate([rows, left_rows[more_rows]]),
            np.concatenate([good[columns], weak[more_columns]]),
        )

    def _see(self, rows: Indices, measured: Floats, scores: Floats) -> None:
        self._motion.correct(rows, measured)
        self._hits[rows] += 1
        self._evidence[rows] += scores
        self._score[rows] = scores
        self._unseen[rows] = 0.0
        self._away[rows] = 0.0
        self._confirmed[rows] |= (self._hits[rows] >= CONFIRM_HITS) & (self._evidence[rows] >= CONFIRM_EVIDENCE)

    def _begin(self, boxes: Floats, scores: Floats, free: NDArray[np.bool_], claimed: Indices) -> Indices:
        """Tracks for the good boxes that nobody claims. Returns their rows."""
        new = np.nonzero(free & (scores >= GOOD_SCORE))[0]
        iou, part = overlaps(boxes[new], cornered(self._motion.position[claimed]))
        new = new[~((iou > CLAIMED_IOU) | (part > CLAIMED_PART)).any(axis=1)]
        new = new[: max(0, MAX_TRACKS - len(self._number))]
        count, first = len(new), len(self._number)
        self._motion = self._motion.join(Motion.begin(centred(boxes[new])))
        self._number = np.concatenate([self._number, np.arange(self._next, self._next + count)])
        self._hits = np.concatenate([self._hits, np.ones(count, np.int64)])
        self._confirmed = np.concatenate([self._confirmed, np.zeros(count, np.bool_)])
        self._evidence = np.concatenate([self._evidence, scores[new]])
        self._score = np.concatenate([self._score, scores[new]])
        self._unseen = np.concatenate([self._unseen, np.zeros(count)])
        self._away = np.concatenate([self._away, np.zeros(count)])
        self._next += count
        return np.arange(first, first + count)

    def _drop(self, ended: NDArray[np.bool_]) -> tuple[Gone, ...]:
        if not ended.any():
            return ()
        gone = zip(self._number[ended].tolist(), self._confirmed[ended].tolist(), strict=True)
        kept = ~ended
        self._motion = self._motion.take(kept)
        self._number, self._hits = self._number[kept], self._hits[kept]
        self._confirmed, self._evidence = self._confirmed[kept], self._evidence[kept]
        self._score, self._unseen, self._away = self._score[kept], self._unseen[kept], self._away[kept]
        return tuple(Gone(number, confirmed) for number, confirmed in gone)

    def _sightings(self, rows: Indices) -> tuple[Sighting, ...]:
        rows = np.sort(rows)
        people = zip(
            self._number[rows].tolist(),
            cornered(self._motion.position[rows]).tolist(),
            self._score[rows].tolist(),
            self._confirmed[rows].tolist(),
            strict=True,
        )
        return tuple(Sighting(number, tuple(box), score, confirmed) for number, box, score, confirmed in people)

    def state(self) -> TrackerState:
        """Everything that the next step depends on."""
        motion = self._motion
        parts = (motion.position, motion.velocity, motion.var_position, motion.covariance, motion.var_velocity)
        rows = zip(
            self._number.tolist(),
            np.stack(parts, axis=1).tolist(),
            self._hits.tolist(),
            self._evidence.tolist(),
            self._unseen.tolist(),
            self._away.tolist(),
            self._score.tolist(),
            self._confirmed.tolist(),
            strict=True,
        )
        names = TrackState.model_fields
        return TrackerState(
            next_number=self._next,
            tracks=tuple(TrackState.model_validate(dict(zip(names, row, strict=True))) for row in rows),
        )

    @classmethod
    def restore(cls, state: TrackerState) -> Tracker:
        """Go on from a state, bit for bit."""
        tracker, tracks = cls(), state.tracks
        tracker._next = state.next_number
        motion = np.array([track.motion for track in tracks], np.float64).reshape(len(tracks), 5, 4)
        tracker._motion = Motion(*(np.ascontiguousarray(motion[:, part]) for part in range(5)))
        tracker._number = np.array([track.number for track in tracks], np.int64)
        tracker._hits = np.array([track.hits for track in tracks], np.int64)
        tracker._confirmed = np.array([track.confirmed for track in tracks], np.bool_)
        tracker._evidence = np.array([track.evidence for track in tracks], np.float64)
        tracker._score = np.array([track.score for track in tracks], np.float64)
        tracker._unseen = np.array([track.unseen for track in tracks], np.float64)
        tracker._away = np.array([track.away for track in tracks], np.float64)
        return tracker


def _distinct(boxes: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """The best boxes, best first, without those that show a person a second time."""
    order = np.argsort(-scores, kind="stable")[:MAX_BOXES]
    boxes, scores = boxes[order], scores[order]
    iou, _ = overlaps(boxes, boxes)
    same = np.triu(iou > SAME_IOU, 1)
    if not same.any():
        return boxes, scores
    kept = np.ones(len(boxes), np.bool_)
    for better in range(len(boxes)):
        if kept[better]:
            kept &= ~same[better]
    return boxes[kept], scores[kept]
