"""Geometry of the simulated door, in reference pixels: of a 640 × 360 picture, y down. Other sizes are stretched.

A camera high on a wall inside the shop looks down at the door:

          ┌─────────┐            y =  20   top of the door
    wall  │ outside │  wall
          ├─────────┤            y = 150   threshold
         floor of the shop
    ─ ─ ─ ─ ─ line ─ ─ ─ ─ ─     y = 190   IN is downwards
    shelf                shelf
                                 y = 360   lower edge
"""

from __future__ import annotations

WIDTH, HEIGHT = 640.0, 360.0

DOOR_LEFT, DOOR_RIGHT = 218.0, 422.0
DOOR_TOP, THRESHOLD = 18.0, 150.0
MIDDLE = (DOOR_LEFT + DOOR_RIGHT) / 2

LINE_Y = 190.0
LINE_LEFT, LINE_RIGHT = 64.0, 576.0

OUTSIDE = 124.0
"""The feet of a person out on the pavement, y."""
GONE = 530.0
"""The feet of a person of which even the head has left the picture downwards, y."""


def height_at(foot_y: float) -> float:
    """Height of a person of average stature in the picture, reference pixels; larger nearer to the camera."""
    return 80.0 + (foot_y - 120.0) * 70.0 / 240.0


def centre_at(foot_y: float, stature: float) -> float:
    """The middle of a person's body, y in reference pixels.

    Args:
        foot_y: y of the feet.
        stature: height relative to the average.
    """
    return foot_y - height_at(foot_y) * stature / 2
