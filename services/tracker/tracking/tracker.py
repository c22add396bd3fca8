"""Joins the boxes of successive frames into tracks of people.

For each frame all tracks are predicted by the real time since the last one, matched with the boxes (see `matching`),
and updated by them; a good box without a match begins a track. A track is confirmed once there is enough evidence for
it. An unseen track is kept for a while, with a growing search area.

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
from services.tracker.tracking.matching import distinct, match_boxes
from services.tracker.tracking.track_table import Mask, Rows, TrackState, TrackTable

CONFIRM_HITS: Final = 2
CONFIRM_EVIDENCE: Final = 1.5
"""Least sum of scores: two good boxes reach it; a shadow or a poster with two or three doubtful boxes does not."""
RECENT_SECONDS: Final = 0.5
"""Seconds of frames without a box after which a track is lost."""
LOST_SECONDS: Final = 2.5
"""Seconds after which a lost track ends: 2 s for a hidden person, and the frames before and after."""
DOUBTFUL_SECONDS: Final = 0.9
"""Seconds after which a lost track that is not confirmed ends."""
BLIND_SECONDS: Final = 3.0
"""Seconds of skipped or missing frames after which a track ends, as other people may have come meanwhile."""
BLIND_DOUBTFUL_SECONDS: Final = 1.5
"""Seconds of the same for a track that is not confirmed. Seen once, it may go anywhere, and joined to the next person's
box it would cross lines falsely. One frame a second still gives tracks."""
MAX_TRACKS: Final = 256
"""More people than a picture can hold, and few enough for any checkpoint to fit into a message of 1 MB."""


class TrackerState(BaseModel):
    """All tracks, and the number of the next one."""

    model_config = ConfigDict(frozen=True)

    next_number: int = 1
    tracks: tuple[TrackState, ...] = ()


@dataclass(frozen=True, slots=True)
class Sighting:
    """A track as filtered after a frame in which it was seen. Box x1, y1, x2, y2 in pixels."""

    track: int
    box: Box
    score: float
    confirmed: bool


@dataclass(frozen=True, slots=True)
class EndedTrack:
    """A track that ended; one that was never `confirmed` is no person."""

    track: int
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Sightings:
    """Changes of the tracks by one frame.

    Attributes:
        seen: tracks with a box in this frame, confirmed or not yet, by number.
        ended: tracks that ended.
    """

    seen: tuple[Sighting, ...]
    ended: tuple[EndedTrack, ...]


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
            return NOTHING  # as for most of a shop's day
        self._advance(seconds)
        ended = self._drop_blind()
        tracks = self._tracks
        order = distinct(boxes, scores)
        boxes, scores = boxes[order], scores[order]
        matches = match_boxes(tracks.motion, tracks.unseen <= RECENT_SECONDS, boxes, scores)
        tracks.unseen += seconds
        self._see(matches.tracks, boxes[matches.boxes], scores[matches.boxes])
        begun = self._begin(boxes[matches.new], scores[matches.new])
        seen = self._sightings(np.concatenate([matches.tracks, begun]))
        tracks = self._tracks
        ended += self._drop(tracks.unseen > np.where(tracks.confirmed, LOST_SECONDS, DOUBTFUL_SECONDS))
        return Sightings(seen, ended)

    def skip(self, seconds: float) -> Sightings:
        """Take in a skipped frame: people move on unseen, and it does not count as a frame without their box."""
        self._advance(seconds)
        return Sightings((), self._drop_blind())

    def visible(self, seconds: float) -> tuple[Sighting, ...]:
        """The confirmed tracks seen within the last `seconds`, at their predicted boxes."""
        return self._sightings(np.nonzero(self._tracks.confirmed & (self._tracks.away <= seconds))[0])

    def flush(self) -> tuple[EndedTrack, ...]:
        """End all tracks."""
        return self._drop(np.ones(len(self._tracks), np.bool_))

    def resize(self, x: float, y: float) -> None:
        """Go on in pixels of a frame `x` times as wide and `y` times as high."""
        self._tracks.motion.resize(x, y)

    def state(self) -> TrackerState:
        """The state on which the next step depends."""
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

    def _drop_blind(self) -> tuple[EndedTrack, ...]:
        """End tracks after too many skipped or missing frames. Call before `unseen` grows: this frame's gap counts."""
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
        """Begin tracks, up to `MAX_TRACKS` in all. Returns their rows."""
        before = len(self._tracks)
        room = min(len(boxes), MAX_TRACKS - before)
        if room:
            self._tracks = self._tracks.join(TrackTable.begin(self._next, boxes[:room], scores[:room]))
            self._next += room
        return np.arange(before, before + room)

    def _drop(self, ended: Mask) -> tuple[EndedTrack, ...]:
        if not ended.any():
            return ()
        dropped = zip(self._tracks.number[ended].tolist(), self._tracks.confirmed[ended].tolist(), strict=True)
        self._tracks = self._tracks.take(~ended)
        return tuple(EndedTrack(number, confirmed) for number, confirmed in dropped)

    def _sightings(self, rows: Rows) -> tuple[Sighting, ...]:
        if not len(rows):
            return ()
        rows, tracks = np.sort(rows), self._tracks
        numbers, scores, confirmed = (
            column[rows].tolist() for column in (tracks.number, tracks.score, tracks.confirmed)
        )
        boxes = cornered(tracks.motion.position[rows]).tolist()
        return tuple(map(Sighting, numbers, map(tuple, boxes), scores, confirmed))
