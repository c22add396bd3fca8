"""Matching of tracks with the boxes of a frame, in four passes, the most certain first.

1. Tracks seen a moment ago, with good boxes.
2. The rest of these, with weak boxes, which must fit well: a half hidden person scores low (the idea of ByteTrack).
3. The rest of these, with good boxes that nearly overlap the expected box: a step faster than the filter expects (Yang
   et al., Hard to Track Objects with Irregular Motions and Similar Appearances?, WACV 2023, arXiv:2211.14317).
4. Tracks lost for longer, with good boxes that show no other person: the person behind a post comes out again.

The order matters: a visible person never loses their box to a lost track.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.tracker.tracking.association import assign, costs, overlaps
from services.tracker.tracking.kalman import Floats, Motion, centred, cornered
from services.tracker.tracking.track_table import Mask, Rows

GOOD_SCORE: Final = 0.4
"""Boxes of a lower score are weak: they continue a track, but never begin one."""
WEAK_SCORE: Final = 0.1
GOOD_LIMIT: Final = 2.0
"""Cost (nats) above which a good box more likely shows a new person; see `association`."""
LOST_LIMIT: Final = 0.5
"""Limit of the cost for a lost track, which may never come back."""
WEAK_LIMIT: Final = -4.0
"""Limit of the cost for a weak box, which more likely shows no person at all."""
NEAR_IOU: Final = 0.3
"""Least overlap with the expected box in the third pass."""
BUFFER: Final = 0.2
"""Fraction of width and height by which both boxes are widened on each side, so that a sidestep overlaps, too."""
SAME_IOU: Final = 0.75
"""Two boxes of one frame with at least this overlap are one person."""
COVERED_IOU: Final = 0.55
"""A box with at least this overlap with a matched person's box is a duplicate of it."""
TORSO_PART: Final = 0.85
TORSO_IOU: Final = 0.15
"""A box with this fraction of its area inside a matched person's box, and not tiny, is that person's torso."""
SHRUNK: Final = 0.6
"""A person whose box has less than this fraction of the expected area was found in part."""
REST_PART: Final = 0.7
"""A box with this fraction of its area inside the expected one shows the rest of that person."""
MAX_BOXES: Final = 512


@dataclass(frozen=True, slots=True)
class Matches:
    """Indices of matched tracks, of their boxes, and of the good boxes that show new people."""

    tracks: Rows
    boxes: Rows
    new: Rows


def match_boxes(motion: Motion, recent: Mask, boxes: Floats, scores: Floats) -> Matches:
    """Match N tracks with M boxes.

    Args:
        motion: the tracks, predicted to now.
        recent: (N,) True for tracks seen a moment ago.
        boxes: (M, 4) x1, y1, x2, y2 in pixels, best first; see `distinct`.
        scores: (M,) 0 … 1.
    """
    cost = costs(motion, centred(boxes))
    good, weak = scores >= GOOD_SCORE, (scores >= WEAK_SCORE) & (scores < GOOD_SCORE)
    state = _MatchState(np.ones(len(motion), np.bool_), np.full(len(boxes), -1, np.intp))

    state.match(*state.unmatched(recent, good), cost, GOOD_LIMIT)
    if (state.owner >= 0).all():  # as in most frames
        return Matches(state.owner, np.arange(len(boxes)), np.empty(0, np.intp))
    state.match(*state.unmatched(recent, weak), cost, WEAK_LIMIT)

    rows, columns = state.unmatched(recent, good)
    if len(rows) and len(columns):
        iou, _ = overlaps(_widened(cornered(motion.position[rows])), _widened(boxes[columns]))
        state.match_by(rows, columns, 1.0 - iou, 1.0 - NEAR_IOU)

    rows, columns = state.unmatched(~recent, good)
    matched = (state.owner >= 0).nonzero()[0]
    if len(columns):
        columns = columns[~_shows(boxes[columns], boxes[matched]).any(axis=1)]
        state.match(rows, columns, cost, LOST_LIMIT)
        matched = (state.owner >= 0).nonzero()[0]

    new = columns[state.owner[columns] < 0]
    if len(new):
        new = new[~_completes(boxes[new], boxes[matched], cornered(motion.position[state.owner[matched]]))]
        new = new[_best(_shows(boxes[new], boxes[new]))]
    return Matches(state.owner[matched], matched, new)


def distinct(boxes: Floats, scores: Floats) -> Rows:
    """Indices of the boxes to use, best first: without duplicates of a person, and at most `MAX_BOXES`.

    Args:
        boxes: (N, 4) x1, y1, x2, y2 in pixels.
        scores: (N,) 0 … 1.
    """
    if len(boxes) < 2:
        return np.arange(len(boxes))
    order = np.argsort(-scores, kind="stable")[:MAX_BOXES]
    iou, _ = overlaps(boxes[order], boxes[order])
    return order[_best(iou > SAME_IOU)]


@dataclass(frozen=True, slots=True)
class _MatchState:
    """Matches so far: `free` (N,) is True for unmatched tracks, `owner` (M,) is each box's track, or −1."""

    free: Mask
    owner: Rows

    def unmatched(self, tracks: Mask, boxes: Mask) -> tuple[Rows, Rows]:
        """Indices of the tracks and boxes among these that are not matched yet."""
        return (self.free & tracks).nonzero()[0], ((self.owner < 0) & boxes).nonzero()[0]

    def match(self, rows: Rows, columns: Rows, cost: Floats, limit: float) -> None:
        """Match these tracks and boxes at least cost, by the (N, M) cost of all tracks and boxes."""
        if len(rows) and len(columns):
            self.match_by(rows, columns, cost[rows[:, None], columns], limit)

    def match_by(self, rows: Rows, columns: Rows, cost: Floats, limit: float) -> None:
        """Match these tracks and boxes at least cost, by their own (len(rows), len(columns)) cost."""
        tracks, boxes = assign(cost, limit)
        self.owner[columns[boxes]] = rows[tracks]
        self.free[rows[tracks]] = False


def _widened(boxes: Floats) -> Floats:
    """(N, 4) boxes with their `BUFFER` around them."""
    buffer = BUFFER * (boxes[:, 2:] - boxes[:, :2])
    widened = np.empty_like(boxes)
    np.subtract(boxes[:, :2], buffer, out=widened[:, :2])
    np.add(boxes[:, 2:], buffer, out=widened[:, 2:])
    return widened


def _shows(boxes: Floats, people: Floats) -> Mask:
    """(N, M) True where a box shows one of the people once more."""
    iou, part = overlaps(boxes, people)
    return np.asarray((iou > COVERED_IOU) | ((part > TORSO_PART) & (iou > TORSO_IOU)))


def _completes(boxes: Floats, matched: Floats, expected: Floats) -> Mask:
    """(N,) True where a box shows the rest of one of M people found in part: the legs, where the head is matched."""
    shrunk = _area(matched) < SHRUNK * _area(expected)
    _, part = overlaps(boxes, expected[shrunk])
    return np.asarray((part > REST_PART).any(axis=1))


def _area(boxes: Floats) -> Floats:
    area: Floats = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area


def _best(same: Mask) -> Mask:
    """(N,) mask of the boxes to keep, best first: drops each that is the `same` (N, N) as a better, kept one."""
    kept = np.ones(len(same), np.bool_)
    for better in (same.sum(axis=1) > 1).nonzero()[0]:
        if kept[better]:
            kept[better + 1 :] &= ~same[better, better + 1 :]
    return kept
