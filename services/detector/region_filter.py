"""Who of those that a detector found is looked for: the camera's regions, ignored parts and smallest person.

The boxes are sorted out after the network has seen the whole picture. The rest is not painted over before: a network
takes the edge of the paint for something, and who stands half behind it is found as the half, whose middle and feet are
elsewhere (docs/models.md has what was measured). A background that is learnt would have to learn the paint, too.

Where a person is, the camera's lines say: by the point that has to cross them. So a region that a line lies in holds
everybody who can cross it there, and what is drawn on the dashboard is what counts.
"""

from __future__ import annotations

import numpy as np

from contracts.spec import Anchor, CameraSpec
from services.detector.backends.protocol import Found


def looked_for(found: Found, spec: CameraSpec, width: int, height: int) -> Found:
    """Leave out who is too small or not where the camera is to look.

    Args:
        found: boxes in pixels of a frame.
        spec: the camera's. Where its lines count by several points of a person, any of these will do.
        width: of the frame, pixels.
        height: of the frame, pixels.

    Returns:
        the others, in the same order; their boxes are untouched.
    """
    area = spec.detection
    if area.whole or not len(found):
        return found
    shares = found.boxes.astype(np.float64) / [width, height, width, height]
    anchors, kept = spec.anchors, []
    for x1, y1, x2, y2 in shares.tolist():
        points = (y2 if anchor is Anchor.FOOT else (y1 + y2) / 2 for anchor in anchors)
        kept.append(y2 - y1 >= area.min_height and any(area.sees((x1 + x2) / 2, y) for y in points))
    return Found(found.boxes[kept], found.scores[kept])
