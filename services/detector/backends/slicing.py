"""A closer look: where people are small on a network's input, overlapping quarters of the frame are shown to it too.

    ╔═══════════╤═══╤═══════════╗
    ║           ┊   ┊           ║   A quarter spans six tenths of the frame's sides, so that people become 1.67 times
    ║     a     ┊   ┊     b     ║   as large. A person belongs to the quarter in whose half of the frame (│ ─) their
    ╟┈┈┈┈┈┈┈┈┈┈┈┊┈│┈┊┈┈┈┈┈┈┈┈┈┈┈╢   centre lies: so nobody is found in two. The overlap is wider than who is small:
    ║           ┊ │ ┊           ║   whoever belongs to a quarter is seen whole in it.
    ╟───────────┼─┼─┼───────────╢
    ║     c     ┊ │ ┊     d     ║

It depends on nothing but the frame: replicas, and a frame that is looked at twice, give the same boxes. Where few are
small, it costs nothing. See docs/decisions/026 for what it gains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.detector.backends.heads import suppress
from services.detector.backends.protocol import Found, Image

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SMALL: Final = 24.0
"""Pixels of a person's height on the network's input, below which a closer look is taken around them."""
SHARE: Final = 1 / 3
"""What small people must have of all scores in a frame: where people walk by near, something far is small too."""
LARGE: Final = 48.0
"""The same, from which on the frame as a whole shows a person better than a quarter does."""
OVERSIZE: Final = 1.25
"""Times `LARGE`, up to which a quarter's box counts: two looks at one person measure a little differently."""
DETAIL: Final = 0.75
"""Pixels of the input per pixel of the frame, above which there is too little in the frame that the input hides."""
PART: Final = 0.6
"""A quarter's sides, in parts of the frame's."""
TOUCH: Final = 2.0
"""Pixels from a quarter's inner edge, within which a box is taken to be cut off by it."""


@dataclass(frozen=True, slots=True)
class _Quarter:
    """A part of the frame, in whole pixels, and how to tell who belongs to it."""

    x1: int
    y1: int
    x2: int
    y2: int
    width: int
    height: int

    def of(self, frame: Image) -> Image:
        return frame[self.y1 : self.y2, self.x1 : self.x2]

    def meets(self, boxes: Floats) -> bool:
        """Whether any of the boxes (N, 4), pixels of the frame, reaches into it."""
        inside = (boxes[:, :2] < (self.x2, self.y2)) & (boxes[:, 2:] > (self.x1, self.y1))
        return bool(inside.all(axis=1).any())

    def has(self, boxes: Floats) -> Mask:
        """(N,) which boxes belong to it, and are not cut off by an edge of it that is none of the frame's."""
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        half = np.array([self.width / 2, self.height / 2])
        own = ((middle < half) == (self.x1 == 0, self.y1 == 0)).all(axis=1)
        inner = np.where([self.x1 == 0, self.y1 == 0], -np.inf, [self.x1 + TOUCH, self.y1 + TOUCH])
        outer = np.where([self.x1 > 0, self.y1 > 0], np.inf, [self.x2 - TOUCH, self.y2 - TOUCH])
        whole: Mask = own & ((boxes[:, :2] > inner) & (boxes[:, 2:] < outer)).all(axis=1)
        return whole


def look_closer(frame: Image, found: Found, scale: float, look: Callable[[Image], Found]) -> Found:
    """What is found in a frame, with a closer look at where people are small.

    Args:
        frame: that was looked at.
        found: in it, by `look`.
        scale: pixels of the network's input per pixel of the frame, downwards.
        look: finds the people in a picture, boxes in its pixels.
    """
    high = (found.boxes[:, 3] - found.boxes[:, 1]) * scale
    small = high < SMALL
    if scale > DETAIL or not small.any() or found.scores[small].sum() < SHARE * found.scores.sum():
        return found
    kept = np.ones(len(found), np.bool_)
    boxes, scores = [], []
    for quarter in _quarters(frame.shape[1], frame.shape[0]):
        if not quarter.meets(found.boxes[small]):
            continue
        closer = look(quarter.of(frame))
        at = closer.boxes + np.array([quarter.x1, quarter.y1] * 2, np.float32)
        fits = quarter.has(at) & ((at[:, 3] - at[:, 1]) * scale < LARGE * OVERSIZE)
        boxes.append(at[fits])
        scores.append(closer.scores[fits])
        kept &= ~(quarter.has(found.boxes) & (high < LARGE))
    return Found(
        *suppress(
            np.concatenate([found.boxes[kept], *boxes]),
            np.concatenate([found.scores[kept], *scores]),
        )
    )


def _quarters(width: int, height: int) -> list[_Quarter]:
    across, down = round(width * PART), round(height * PART)
    corners = product((0, height - down), (0, width - across))
    return [_Quarter(x, y, x + across, y + down, width, height) for y, x in corners]
