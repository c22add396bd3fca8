"""A panorama, part by part: a frame much wider than high is shown to a network that stretches it in overlapping parts.

    ╔═══════════════╤═══════════╤═══════════════╗
    ║       a       ┊           ┊               ║   A network that squeezes each frame into its square was
    ║       ┌───────┼─── b ─────┼───────┐       ║   trained on 16:9. Of a frame of 32:9 people come out half
    ║       │       ┊           ┊   c   │       ║   as wide, and are missed. Each part has the shape it knows.
    ╚═══════╧═══════╧═══════════╧═══════╧═══════╝

Neighbours share half of a part, so that whoever is cut off by the edge of one is seen whole in the next.
As `closer`, it depends on nothing but the frame. See docs/decisions/090 for what it gains.
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
"""Width by height of the pictures that networks which stretch were trained with (Open Model Zoo)."""
WIDE: Final = 1.5
"""Times that shape, from which on a frame is looked at in parts."""
TOUCH: Final = 0.01
"""Parts of a part's width from an edge that is not the frame's, within which a box is taken to be cut off."""


def is_panorama(width: int, height: int) -> bool:
    """Tell whether a frame is so wide that a network which stretches it does not know people any more."""
    return width >= WIDE * TRAINED * height


def look_along(frame: Image, look: Callable[[Image], Found]) -> Found:
    """Find the people in a panorama.

    Args:
        frame: (height, width, 3), for which `is_panorama` is true.
        look: finds the people in a picture, boxes in its pixels.
    """
    boxes, scores = [], []
    for begin, end in parts(frame.shape[1], frame.shape[0]):
        found = look(np.ascontiguousarray(frame[:, begin:end]))
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
    """First column of each part, and the one behind its last."""
    wide = min(width, round(TRAINED * height))
    steps = math.ceil((width - wide) / (wide / 2))
    begins = [round(number * (width - wide) / steps) for number in range(steps)] if steps else []
    return [(begin, begin + wide) for begin in (*begins, width - wide)]
