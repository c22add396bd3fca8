"""Joins the boxes of successive frames into tracks of people.

Each frame: all tracks move on by the time that really passed, are paired with the boxes (see `pairing`), and take them
in; a good box that nobody claims begins a track. A track is confirmed once enough has been seen of it. One that is not
seen is kept for a while and looked for further and further around.

In the manner of Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, ECCV 2022
(arXiv:2110.06864). Likelihoods in place of IoU, and seconds in place of frames, make it independent of the frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from contracts.events import Box
from services.tracker.tracking.kalman import Floats, centred, cornered
from services.tracker.tracking.matching import distinct, pair
from services.tracker.tracking.track_table import Mask, Rows, TrackState, TrackTable

CONFIRM_HITS: Final = 2
CONFIRM_EVIDENCE: Final = 1.5
"""Sum of scores: two good boxes reach it, and a shadow or a poster that is doubtful in two or three frames does not."""
RECENT_SECONDS: Final = 0.5
"""A track that was not seen in the frames of so long is lost."""
LOST_SECONDS: Final = 2.5
"""How long a lost person is looked for: 2 s hidden, and the frames before and after."""
DOUBTFUL_SECONDS: Final = 0.9
"""The same for a track that is not confirmed."""
BLIND_SECONDS: Final = 3.0
"""After this long without looking at all, frames skipped or missing, nobody can be told from who came meanwhile."""
BLIND_DOUBTFUL_SECONDS: Final = 1.5
"""The same for a track that is not confirmed. Seen once, it may go anywhere; as the next one's beginning it would cross
lines that nobody crossed. A picture a second still makes tracks."""
MAX_TRACKS: Final = 256
"""More than a picture can hold, and few enough for any checkpoint to fit into a message of 1 MB."""


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


NOTHING: Final = Sightings((), ())


class Tracker:
    """The tracks of one camera in one session. Numbers count from 1 and are never used again."""

    def __init__(self) -> None:
        self._next = 1
        self._tracks = TrackTable.empty()

    def step(self, boxes: Floats, scores: Floats, seconds: float) -> Sightings:
        """Take in a frame.

        Args:
            boxes: (N, 4) x1, y1, x2, y2 in pixels, each at least a pixel or two wide and high, finite.
            scores: (N,) 0 … 1.
            seconds: since the frame before, > 0.
        """
        if not len(boxes) and not len(self._tracks):
            return NOTHING  # as most of a shop's day
        self._advance(seconds)
        gone = self._drop_blind()
        tracks = self._tracks
        order = distinct(boxes, scores)
        boxes, scores = boxes[order], scores[order]
        pairs = pair(tracks.motion, tracks.unseen <= RECENT_SECONDS, boxes, scores)
        tracks.unseen += seconds
        self._see(pairs.tracks, boxes[pairs.boxes], scores[pairs.boxes])
        begun = self._begin(boxes[pairs.new], scores[pairs.new])
        seen = self._sightings(np.concatenate([pairs.tracks, begun]))
        tracks = self._tracks
        gone += self._drop(tracks.unseen > np.where(tracks.confirmed, LOST_SECONDS, DOUBTFUL_SECONDS))
        return Sightings(seen, gone)

    def skip(self, seconds: float) -> Sightings:
        """Take in a frame that nobody could look at: people move on unseen, and none is given up for it."""
        self._advance(seconds)
        return Sightings((), self._drop_blind())

    def visible(self, seconds: float) -> tuple[Sighting, ...]:
        """The confirmed tracks seen within the last so many seconds, where they are believed to be now."""
        return self._sightings(np.nonzero(self._tracks.confirmed & (self._tracks.away <= seconds))[0])

    def flush(self) -> tuple[Gone, ...]:
        """End all tracks."""
        return self._drop(np.ones(len(self._tracks), np.bool_))

    def resize(self, x: float, y: float) -> None:
        """Go on in pixels of a frame that is `x` times as wide and `y` times as high."""
        self._tracks.motion.resize(x, y)

    def state(self) -> TrackerState:
        """Everything that the next step depends on."""
        return TrackerState(next_number=self._next, tracks=self._tracks.state())

    @classmethod
    def restore(cls, state: TrackerState) -> Self:
        """Go on from a state, bit for bit."""
        tracker = cls()
        tracker._next, tracker._tracks = state.next_number, TrackTable.restore(state.tracks)
        return tracker

    def _advance(self, seconds: float) -> None:
        self._tracks.motion.predict(seconds)
        self._tracks.away += seconds

    def _drop_blind(self) -> tuple[Gone, ...]:
        """End the tracks that were not looked for too long. Before `unseen` grows, this frame's gap is part of that."""
        limit = np.where(self._tracks.confirmed, BLIND_SECONDS, BLIND_DOUBTFUL_SECONDS)
        return self._drop(self._tracks.away - self._tracks.unseen > limit)

    def _see(self, rows: Rows, boxes: Floats, scores: Floats) -> None:
        tracks = self._tracks
        tracks.motion.correct(rows, centred(boxes), scores)
        tracks.hits[rows] += 1
        tracks.evidence[rows] += scores
        tracks.score[rows] = scores
        tracks.unseen[rows] = 0.0
        tracks.away[rows] = 0.0
        tracks.confirmed |= (tracks.hits >= CONFIRM_HITS) & (tracks.evidence >= CONFIRM_EVIDENCE)

    def _begin(self, boxes: Floats, scores: Floats) -> Rows:
        """Begin tracks, as far as there is room. Returns their rows."""
        before = len(self._tracks)
        room = min(len(boxes), MAX_TRACKS - before)
        if room:
            self._tracks = self._tracks.join(TrackTable.begin(self._next, boxes[:room], scores[:room]))
            self._next += room
        return np.arange(before, before + room)

    def _drop(self, ended: Mask) -> tuple[Gone, ...]:
        if not ended.any():
            return ()
        gone = zip(self._tracks.number[ended].tolist(), self._tracks.confirmed[ended].tolist(), strict=True)
        self._tracks = self._tracks.take(~ended)
        return tuple(Gone(number, confirmed) for number, confirmed in gone)

    def _sightings(self, rows: Rows) -> tuple[Sighting, ...]:
        if not len(rows):
            return ()
        rows, tracks = np.sort(rows), self._tracks
        numbers, scores, confirmed = (
            column[rows].tolist() for column in (tracks.number, tracks.score, tracks.confirmed)
        )
        boxes = cornered(tracks.motion.position[rows]).tolist()
        return tuple(map(Sighting, numbers, map(tuple, boxes), scores, confirmed))
