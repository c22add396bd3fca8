"""Filters detections by the camera's regions, ignored areas and minimum person height.

The boxes are filtered after the network has seen the whole picture. Painting the rest over before fails: a network
takes the edge of the paint for an object, and a person half behind it is found as a half, with centre and feet in the
wrong place (measurements in docs/models.md). A learnt background would have to learn the paint, too.

A person's place is the point that has to cross the camera's lines, their anchor. So a region that a line lies in keeps
all people that can cross it there, and the dashboard shows the detections that count.
"""

from __future__ import annotations

import numpy as np

from contracts.spec import Anchor, CameraSpec
from services.detector.backends.protocol import Found


def filter_by_region(found: Found, spec: CameraSpec, width: int, height: int) -> Found:
    """Leave out people that are too small, outside of the regions, or in an ignored area.

    Args:
        found: boxes in pixels of a frame.
        spec: the camera's. Where its lines have several anchors, one of them in the right place is enough.
        width: of the frame, pixels.
        height: of the frame, pixels.

    Returns:
        the other people, in the same order; their boxes are unchanged.
    """
    area = spec.detection
    if area.whole or not len(found):
        return found
    normalised = found.boxes.astype(np.float64) / [width, height, width, height]
    anchors, kept = spec.anchors, []
    for x1, y1, x2, y2 in normalised.tolist():
        points = (y2 if anchor is Anchor.FOOT else (y1 + y2) / 2 for anchor in anchors)
        kept.append(y2 - y1 >= area.min_height and any(area.sees((x1 + x2) / 2, y) for y in points))
    return Found(found.boxes[kept], found.scores[kept])
