"""Pairs the tracks with the boxes of a frame, the surest first, in four passes.

1. People seen a moment ago, with good boxes.
2. Those of them who are left, with weak boxes, which must fit well: a person half hidden scores low (ByteTrack's idea).
3. Those still left, with good boxes that nearly overlap where they should be: a step faster than the filter trusts
   (Yang et al., Hard to Track Objects with Irregular Motions and Similar Appearances?, WACV 2023, arXiv:2211.14317).
4. People lost for longer, with good boxes that show nobody else: who comes out from behind a post is who went in.

The order matters: a person in plain view never loses their box to one who is only remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.tracker.tracking.association import assign, costs, overlaps
from services.tracker.tracking.kalman import Floats, Motion, centred, cornered
from services.tracker.tracking.track_table import Mask, Rows

GOOD_SCORE: Final = 0.4
"""Boxes below are weak: they go on with a track, but begin none."""
WEAK_SCORE: Final = 0.1
GOOD_LIMIT: Final = 2.0
"""Nats above which a good box is likelier to show somebody new; see `association`."""
LOST_LIMIT: Final = 0.5
"""The same for somebody lost, who may never come back."""
WEAK_LIMIT: Final = -4.0
"""The same for a weak box, which is likelier to show nobody at all."""
NEAR_IOU: Final = 0.3
"""Overlap with the expected box that the third pass asks for."""
BUFFER: Final = 0.2
"""Both boxes are first widened by this part of their width and height on each side: who stepped aside overlaps too."""
SAME_IOU: Final = 0.75
"""Two boxes of one frame that overlap so much are one person."""
COVERED_IOU: Final = 0.55
"""A box that overlaps a person's so much shows nobody else: a double."""
TORSO_PART: Final = 0.85
TORSO_IOU: Final = 0.15
"""Nor does one that lies so far inside it without being tiny: a torso."""
SHRUNK: Final = 0.6
"""A person found in less than this part of the area where they should be was found in part."""
REST_PART: Final = 0.7
"""A box that lies so far inside the area shows the rest of them."""
MAX_BOXES: Final = 512


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows of tracks with the boxes they were found in, and the good boxes that show somebody new. Indices."""

    tracks: Rows
    boxes: Rows
    new: Rows


def pair(motion: Motion, recent: Mask, boxes: Floats, scores: Floats) -> Pairs:
    """Pair N tracks with M boxes.

    Args:
        motion: the tracks, predicted to now.
        recent: (N,) whether a track was seen a moment ago.
        boxes: (M, 4) x1, y1, x2, y2 in pixels, best first; see `distinct`.
        scores: (M,) 0 … 1.
    """
    cost = costs(motion, centred(boxes))
    good, weak = scores >= GOOD_SCORE, (scores >= WEAK_SCORE) & (scores < GOOD_SCORE)
    board = _Board(np.ones(len(motion), np.bool_), np.full(len(boxes), -1, np.intp))

    board.settle(*board.open(recent, good), cost, GOOD_LIMIT)
    if (board.owner >= 0).all():  # as in most frames: nothing is left to be paired
        return Pairs(board.owner, np.arange(len(boxes)), np.empty(0, np.intp))
    board.settle(*board.open(recent, weak), cost, WEAK_LIMIT)

    rows, columns = board.open(recent, good)
    if len(rows) and len(columns):
        iou, _ = overlaps(_widened(cornered(motion.position[rows])), _widened(boxes[columns]))
        board.settle_among(rows, columns, 1.0 - iou, 1.0 - NEAR_IOU)

    rows, columns = board.open(~recent, good)
    found = (board.owner >= 0).nonzero()[0]
    if len(columns):
        columns = columns[~_shows(boxes[columns], boxes[found]).any(axis=1)]
        board.settle(rows, columns, cost, LOST_LIMIT)
        found = (board.owner >= 0).nonzero()[0]

    new = columns[board.owner[columns] < 0]
    if len(new):
        new = new[~_completes(boxes[new], boxes[found], cornered(motion.position[board.owner[found]]))]
        new = new[_best(_shows(boxes[new], boxes[new]))]
    return Pairs(board.owner[found], found, new)


def distinct(boxes: Floats, scores: Floats) -> Rows:
    """The boxes to look at, best first: without those that show a person a second time, and not more than `MAX_BOXES`.

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
class _Board:
    """Who is paired: `free` (N,) tracks are not, `owner` (M,) is each box's track or −1."""

    free: Mask
    owner: Rows

    def open(self, tracks: Mask, boxes: Mask) -> tuple[Rows, Rows]:
        """Which of these tracks and boxes are not paired yet."""
        return (self.free & tracks).nonzero()[0], ((self.owner < 0) & boxes).nonzero()[0]

    def settle(self, rows: Rows, columns: Rows, cost: Floats, limit: float) -> None:
        """Pair among these tracks and boxes as cheaply as can be, by the (N, M) cost of all of them."""
        if len(rows) and len(columns):
            self.settle_among(rows, columns, cost[rows[:, None], columns], limit)

    def settle_among(self, rows: Rows, columns: Rows, cost: Floats, limit: float) -> None:
        """The same by the (len(rows), len(columns)) cost of these alone."""
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
    """(N, M) whether a box shows one of the people once more."""
    iou, part = overlaps(boxes, people)
    return np.asarray((iou > COVERED_IOU) | ((part > TORSO_PART) & (iou > TORSO_IOU)))


def _completes(boxes: Floats, found: Floats, expected: Floats) -> Mask:
    """(N,) whether a box shows the rest of one of M who were found in part: the legs, where that is the head."""
    shrunk = _area(found) < SHRUNK * _area(expected)
    _, part = overlaps(boxes, expected[shrunk])
    return np.asarray((part > REST_PART).any(axis=1))


def _area(boxes: Floats) -> Floats:
    area: Floats = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area


def _best(same: Mask) -> Mask:
    """(N,) which of N boxes, best first, to keep, where (N, N) some are the same: a box falls to a better one kept."""
    kept = np.ones(len(same), np.bool_)
    for better in (same.sum(axis=1) > 1).nonzero()[0]:
        if kept[better]:
            kept[better + 1 :] &= ~same[better, better + 1 :]
    return kept
