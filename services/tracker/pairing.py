"""Pairs the tracks with the boxes of a frame, the surest first, in four passes.

1. People seen a moment ago, with good boxes.
2. Those of them who are left, with weak boxes, which must fit well: a person half hidden scores low (ByteTrack's idea).
3. Those still left, with good boxes that overlap where they should be: a step faster than the filter trusts.
4. People lost for longer, with good boxes that show nobody else: who comes out from behind a post is who went in.

The order matters: a person in plain view never loses their box to one who is only remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.tracker.association import assign, costs, overlaps
from services.tracker.kalman import Floats, Motion, centred, cornered
from services.tracker.table import Mask, Rows

GOOD_SCORE: Final = 0.4
"""Boxes below are weak: they go on with a track, but begin none."""
WEAK_SCORE: Final = 0.1
GOOD_LIMIT: Final = 2.0
"""Nats above which a good box is likelier to show somebody new; see `association`."""
WEAK_LIMIT: Final = -2.0
"""The same for a weak box, which is likelier to show nobody at all."""
NEAR_IOU: Final = 0.3
"""Overlap with the expected box that the third pass asks for."""
SAME_IOU: Final = 0.75
"""Two boxes of one frame that overlap so much are one person."""
COVERED_IOU: Final = 0.55
COVERED_PART: Final = 0.85
"""A box that overlaps a person's so much, or lies so far inside it, shows nobody else: a torso, a double."""
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
        boxes: (M, 4) x1, y1, x2, y2 in pixels, each person once; see `distinct`.
        scores: (M,) 0 … 1.
    """
    cost, expected = costs(motion, centred(boxes)), cornered(motion.position)
    good, weak = scores >= GOOD_SCORE, (scores >= WEAK_SCORE) & (scores < GOOD_SCORE)
    board = _Board(np.ones(len(motion), np.bool_), np.full(len(boxes), -1, np.intp))

    rows, columns = board.open(recent, good)
    board.settle(rows, columns, cost[np.ix_(rows, columns)], GOOD_LIMIT)

    rows, columns = board.open(recent, weak)
    board.settle(rows, columns, cost[np.ix_(rows, columns)], WEAK_LIMIT)

    rows, columns = board.open(recent, good)
    iou, _ = overlaps(expected[rows], boxes[columns])
    board.settle(rows, columns, 1.0 - iou, 1.0 - NEAR_IOU)

    rows, columns = board.open(~recent, good)
    columns = columns[~_covered(boxes[columns], boxes[board.owner >= 0])]
    board.settle(rows, columns, cost[np.ix_(rows, columns)], GOOD_LIMIT)

    found = np.nonzero(board.owner >= 0)[0]
    return Pairs(tracks=board.owner[found], boxes=found, new=columns[board.owner[columns] < 0])


def distinct(boxes: Floats, scores: Floats) -> Rows:
    """The boxes to look at, best first: without those that show a person a second time, and not more than `MAX_BOXES`.

    Args:
        boxes: (N, 4) x1, y1, x2, y2 in pixels.
        scores: (N,) 0 … 1.
    """
    order = np.argsort(-scores, kind="stable")[:MAX_BOXES]
    iou, _ = overlaps(boxes[order], boxes[order])
    same = np.triu(iou > SAME_IOU, 1)
    kept = np.ones(len(order), np.bool_)
    for better in np.nonzero(same.any(axis=1))[0]:
        if kept[better]:
            kept &= ~same[better]
    return order[kept]


@dataclass(frozen=True, slots=True)
class _Board:
    """Who is paired: `free` (N,) tracks are not, `owner` (M,) is each box's track or −1."""

    free: Mask
    owner: Rows

    def open(self, tracks: Mask, boxes: Mask) -> tuple[Rows, Rows]:
        """Which of these tracks and boxes are not paired yet."""
        return np.nonzero(self.free & tracks)[0], np.nonzero((self.owner < 0) & boxes)[0]

    def settle(self, rows: Rows, columns: Rows, cost: Floats, limit: float) -> None:
        """Pair among these tracks and boxes as cheaply as can be."""
        tracks, boxes = assign(cost, limit)
        self.owner[columns[boxes]] = rows[tracks]
        self.free[rows[tracks]] = False


def _covered(boxes: Floats, people: Floats) -> Mask:
    """(N,) whether a box shows one of the people once more."""
    iou, part = overlaps(boxes, people)
    return np.asarray(((iou > COVERED_IOU) | (part > COVERED_PART)).any(axis=1))
