"""Trajectories of people: the tracker's paths, joined per person and sampled evenly in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.events import Path
from contracts.spec import Anchor

Floats = NDArray[np.float64]

STEP: Final = 0.1
"""Seconds between two samples of a trajectory."""
WALKS_FROM: Final = 1.5
"""Least extent of a walking person's trajectory, in widths of the person. Widths rather than heights: in front of a low
camera, a walking person fills the frame's height."""
SLOW: Final = 0.4
"""Widths per second below which a person stands: a quarter of a stroll."""
_SPEED_WINDOW: Final = 5
"""Samples over which speed is measured: over half a second, a box's jitter has little weight."""


@dataclass(frozen=True)
class Trajectory:
    """The trajectory of one tracked person.

    Attributes:
        at: (N,) seconds since the first frame, in equal steps.
        boxes: (N, 4) x1, y1, x2, y2 in pixels of the frame.
    """

    at: Floats
    boxes: Floats

    def anchors(self, anchor: Anchor) -> Floats:
        """Return the points that must cross a line, (N, 2) pixels."""
        x1, y1, x2, y2 = self.boxes.T
        return np.stack([(x1 + x2) / 2, y2 if anchor is Anchor.FOOT else (y1 + y2) / 2], axis=1)

    @cached_property
    def height(self) -> float:
        """Height of the person, pixels."""
        return max(1.0, float(np.median(self.boxes[:, 3] - self.boxes[:, 1])))

    @cached_property
    def width(self) -> float:
        """Width of the person, pixels."""
        return max(1.0, float(np.median(self.boxes[:, 2] - self.boxes[:, 0])))

    @cached_property
    def speeds(self) -> Floats:
        """Speed of the box's centre, (N,) pixels per second."""
        points = self.anchors(Anchor.CENTER)
        window = min(_SPEED_WINDOW, len(points) - 1)
        steps = np.hypot(*(points[window:] - points[:-window]).T) / (self.at[window:] - self.at[:-window])
        before = window // 2
        return np.pad(steps, (before, window - before), mode="edge")

    @property
    def slow(self) -> NDArray[np.bool_]:
        """Mask of the samples at which the person stands, (N,)."""
        return self.speeds < SLOW * self.width

    @cached_property
    def moves(self) -> bool:
        """True if the person walks rather than stands all the time."""
        points = self.anchors(Anchor.CENTER)
        return float(np.hypot(*np.ptp(points, axis=0))) >= WALKS_FROM * self.width


def trajectories_of(paths: Iterable[Path], start: int) -> tuple[Trajectory, ...]:
    """Join the parts of paths to trajectories, by track.

    Args:
        paths: of one session, in any order.
        start: captured_at of the session's first frame, ns.
    """
    by_track: dict[int, list[Path]] = {}
    for path in paths:
        by_track.setdefault(path.track, []).append(path)
    walks = (_join(sorted(parts, key=lambda path: path.part), start) for _, parts in sorted(by_track.items()))
    return tuple(walk for walk in walks if walk is not None)


def trajectory_of(at: Floats, boxes: Floats) -> Trajectory | None:
    """Make a trajectory of boxes (N, 4) at rising times (N,) in seconds; None if it is shorter than two samples."""
    if len(at) < 2 or at[-1] - at[0] < STEP:
        return None
    even = np.arange(at[0], at[-1] + STEP / 2, STEP)
    return Trajectory(even, np.stack([np.interp(even, at, edge) for edge in boxes.T], axis=1))


def _join(parts: list[Path], start: int) -> Trajectory | None:
    at = np.array([(path.at - start) / 1e9 + point.t / 1e3 for path in parts for point in path.points])
    boxes = np.array([point.box for path in parts for point in path.points]).reshape(-1, 4)
    # A part begins with the point that ended the one before.
    rising = np.concatenate([[True], np.diff(at) > 0])
    return trajectory_of(at[rising], boxes[rising])
