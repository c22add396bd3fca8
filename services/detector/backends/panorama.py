"""Detection in panoramas: frames much wider than high are detected in overlapping parts, by networks that stretch.

    ╔═══════════════╤═══════════╤═══════════════╗
    ║       a       ┊           ┊               ║   A network that squeezes each frame into its square was
    ║       ┌───────┼─── b ─────┼───────┐       ║   trained on 16:9. Of a frame of 32:9 people come out half
    ║       │       ┊           ┊   c   │       ║   as wide, and are missed. Each part has the shape it knows.
    ╚═══════╧═══════╧═══════════╧═══════╧═══════╝

Neighbours share half of a part, so that a person cut off by the edge of one part is seen whole in the next.
As with slicing, the result depends on the frame alone. See docs/decisions/090 for the gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.detector.backends.heads import suppress
from services.detector.backends.protocol import Found, Image

TRAINED: Final = 16 / 9
"""Aspect ratio of the pictures that stretching networks were trained with (Open Model Zoo)."""
WIDE: Final = 1.5
"""Times that ratio from which a frame is detected in parts."""
WIDEST: Final = 8.0
"""Times that ratio up to which; cameras send up to 4. Each part costs an inference: a strip of pixels has thousands."""
TOUCH: Final = 0.01
"""Fraction of a part's width: a box this near to an inner edge counts as cut off."""


def is_panorama(width: int, height: int) -> bool:
    """Tell whether a frame is so wide that a network which stretches it no longer recognises people."""
    return WIDE * TRAINED * height <= width <= WIDEST * TRAINED * height


def detect_in_parts(frame: Image, detect: Callable[[Image], Found]) -> Found:
    """Find the people in a panorama.

    Args:
        frame: (height, width, 3), for which `is_panorama` is true.
        detect: finds the people in a picture, boxes in its pixels.
    """
    boxes, scores = [], []
    for begin, end in parts(frame.shape[1], frame.shape[0]):
        found = detect(np.ascontiguousarray(frame[:, begin:end]))
        spare = TOUCH * (end - begin)
        whole: NDArray[np.bool_] = np.ones(len(found), np.bool_)
        if begin > 0:
            whole &= found.boxes[:, 0] > spare
        if end < frame.shape[1]:
            whole &= found.boxes[:, 2] < end - begin - spare
        boxes.append(found.boxes[whole] + np.array([begin, 0, begin, 0], np.float32))
        scores.append(found.scores[whole])
    return Found(*suppress(np.concatenate(boxes), np.concatenate(scores)))


def parts(width: int, height: int) -> list[tuple[int, int]]:
    """The columns of each part, as a half-open range."""
    wide = min(width, round(TRAINED * height))
    steps = math.ceil((width - wide) / (wide / 2))
    begins = [round(number * (width - wide) / steps) for number in range(steps)] if steps else []
    return [(begin, begin + wide) for begin in (*begins, width - wide)]
