"""Sliced inference: where people are small on a network's input, the frame is detected in overlapping quarters, too.

    ╔═══════════╤═══╤═══════════╗
    ║           ┊   ┊           ║   A quarter spans six tenths of the frame's sides, so that people become 1.67 times
    ║     a     ┊   ┊     b     ║   as large. A person belongs to the quarter that has their centre in its half of the
    ╟┈┈┈┈┈┈┈┈┈┈┈┊┈│┈┊┈┈┈┈┈┈┈┈┈┈┈╢   frame (│ ─), so that no person is found in two. The overlap is wider than small
    ║           ┊ │ ┊           ║   people are, so each is seen whole in their quarter.
    ╟───────────┼─┼─┼───────────╢
    ║     c     ┊ │ ┊     d     ║

The result depends on the frame alone: different replicas, and repeated tries, give the same boxes. Where few people are
small, it costs nothing. In the manner of SAHI (Akyon et al., ICIP 2022, arXiv:2202.06934). See docs/decisions/026 for
the gain.
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
"""Person height (input pixels) below which the quarters around the person are detected, too."""
SHARE: Final = 1 / 3
"""Least share of small people in the sum of a frame's scores: below it, people are near, and a small box is distant."""
LARGE: Final = 48.0
"""Person height (input pixels) at and above which the full-frame detection is preferred over a quarter's."""
OVERSIZE: Final = 1.25
"""Times `LARGE` up to which a quarter's box is used, as two detections of one person differ a little in height."""
DETAIL: Final = 0.75
"""Input pixels per frame pixel above which slicing is not worth it: the full frame shows nearly every detail."""
PART: Final = 0.6
"""Sides of a quarter, as a fraction of the frame's."""
TOUCH: Final = 2.0
"""Pixels: a box this near to a quarter's inner edge counts as cut off by it."""


@dataclass(frozen=True, slots=True)
class _Quarter:
    """A quarter of the frame, in whole pixels; `width` and `height` are the frame's."""

    x1: int
    y1: int
    x2: int
    y2: int
    width: int
    height: int

    def cut(self, frame: Image) -> Image:
        return frame[self.y1 : self.y2, self.x1 : self.x2]

    def meets(self, boxes: Floats) -> bool:
        """Tell whether any of the boxes (N, 4), pixels of the frame, reaches into it."""
        inside = (boxes[:, :2] < (self.x2, self.y2)) & (boxes[:, 2:] > (self.x1, self.y1))
        return bool(inside.all(axis=1).any())

    def has(self, boxes: Floats) -> Mask:
        """(N,) mask of the boxes that belong to it and are not cut off by its inner edges."""
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        half = np.array([self.width / 2, self.height / 2])
        own = ((middle < half) == (self.x1 == 0, self.y1 == 0)).all(axis=1)
        inner = np.where([self.x1 == 0, self.y1 == 0], -np.inf, [self.x1 + TOUCH, self.y1 + TOUCH])
        outer = np.where([self.x1 > 0, self.y1 > 0], np.inf, [self.x2 - TOUCH, self.y2 - TOUCH])
        whole: Mask = own & ((boxes[:, :2] > inner) & (boxes[:, 2:] < outer)).all(axis=1)
        return whole


def detect_sliced(frame: Image, found: Found, scale: float, detect: Callable[[Image], Found]) -> Found:
    """The people in a frame, with sliced inference where they are small.

    Args:
        frame: the picture.
        found: the result of `detect` on the full frame.
        scale: vertical pixels of the network's input per pixel of the frame.
        detect: finds the people in a picture, boxes in its pixels.
    """
    heights = (found.boxes[:, 3] - found.boxes[:, 1]) * scale
    small = heights < SMALL
    if scale > DETAIL or not small.any() or found.scores[small].sum() < SHARE * found.scores.sum():
        return found
    kept = np.ones(len(found), np.bool_)
    boxes, scores = [], []
    for quarter in _quarters(frame.shape[1], frame.shape[0]):
        if not quarter.meets(found.boxes[small]):
            continue
        closer = detect(quarter.cut(frame))
        in_frame = closer.boxes + np.array([quarter.x1, quarter.y1] * 2, np.float32)
        fits = quarter.has(in_frame) & ((in_frame[:, 3] - in_frame[:, 1]) * scale < LARGE * OVERSIZE)
        boxes.append(in_frame[fits])
        scores.append(closer.scores[fits])
        kept &= ~(quarter.has(found.boxes) & (heights < LARGE))
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
