"""Geometry of one person's trajectory and one line: across it, along it, around its end, up to it, or far from it.

Distances are in widths of the person, so that the rules hold near and far, in wide frames and narrow ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.events import Box
from contracts.identity import Direction
from contracts.spec import CountingLine
from services.cli.diagnosis.trajectories import Floats, Trajectory
from services.tracker.counting.crossing_rule import CrossingState, LineGeometry

NEAR: Final = 1.2
"""Widths from the line within which a person is near it."""
AT: Final = 0.35
"""Widths from the line within which a standing person is on it, or sways over it."""
AROUND: Final = 2.5
"""Widths from the line within which the direction of walking is measured."""


@dataclass(frozen=True, slots=True)
class Approach:
    """The relation of a trajectory to a line.

    Attributes:
        crossings: the trajectory's crossings, by the tracker's own rule.
        nearest: least distance from the segment, widths.
        angle: between the line and the direction of walking near it, 0 (along it) … 90 (straight across) degrees;
            None if the person never walks near it.
        passed: position at which the trajectory passes the infinite line outside of the segment, in lengths of the
            segment: below 0 before its first point, above 1 beyond its second; None if it does not.
        passed_by: distance of that position from the nearer end, widths.
        stood: seconds of standing at the line.
        begins: true if the trajectory begins at the line.
        ends: true if the trajectory ends at the line.
        begins_right: true if it begins on the line's right.
    """

    crossings: tuple[Direction, ...]
    nearest: float
    angle: float | None
    passed: float | None
    passed_by: float
    stood: float
    begins: bool
    ends: bool
    begins_right: bool


def approach(line: CountingLine, walk: Trajectory, size: tuple[int, int]) -> Approach:
    """Relate a trajectory to a line. `size` is the frame's width and height in pixels."""
    geometry = LineGeometry.of(line, *size)
    points = walk.anchors(line.anchor)
    along = np.array([geometry.dx, geometry.dy]) / geometry.length
    start = points - [geometry.x1, geometry.y1]
    places = start @ along / geometry.length
    across = start @ np.array([-along[1], along[0]])
    beyond = np.maximum(np.maximum(-places, places - 1), 0.0) * geometry.length
    away = np.hypot(across, beyond) / walk.width
    passed = _passed(places, across)
    crossings = crossings_of(line, walk, size)
    return Approach(
        crossings=crossings,
        nearest=float(away.min()),
        angle=_angle(points, away < AROUND, walk, along),
        passed=passed,
        passed_by=0.0 if passed is None else max(-passed, passed - 1) * geometry.length / walk.width,
        stood=_seconds((away < AT) & walk.slow, walk),
        begins=bool(away[0] < NEAR),
        ends=bool(away[-1] < NEAR),
        begins_right=bool(across[0] > 0),
    )


def crossings_of(line: CountingLine, walk: Trajectory, size: tuple[int, int]) -> tuple[Direction, ...]:
    """Return a trajectory's crossings of a line, by the tracker's own rule."""
    geometry = LineGeometry.of(line, *size)
    state: CrossingState | None = None
    crossings: list[Direction] = []
    for at, (x1, y1, x2, y2) in zip(walk.at.tolist(), walk.boxes.tolist(), strict=True):
        box: Box = (x1, y1, x2, y2)
        state, decision = geometry.advance(state, box, round(at * 1e9))
        if decision is not None:
            crossings.append(decision.direction)
    return tuple(crossings)


def _passed(places: Floats, across: Floats) -> float | None:
    """Return the last position at which the infinite line is passed, if all are outside of the segment."""
    turns = np.flatnonzero((across[:-1] < 0) != (across[1:] < 0))
    if not len(turns):
        return None
    before, after = across[turns], across[turns + 1]
    met = places[turns] + before / (before - after) * (places[turns + 1] - places[turns])
    if ((met >= 0) & (met <= 1)).any():
        return None
    return float(met[-1])


def _angle(
    points: Floats, near: np.ndarray[tuple[int], np.dtype[np.bool_]], walk: Trajectory, along: Floats
) -> float | None:
    """Return the length-weighted angle of the steps near the line, degrees."""
    steps = np.diff(points, axis=0)[(near & ~walk.slow)[:-1]]
    ahead, aside = np.abs(steps @ along).sum(), np.abs(steps @ np.array([-along[1], along[0]])).sum()
    return float(np.degrees(np.arctan2(aside, ahead))) if ahead + aside > 0 else None


def _seconds(mask: np.ndarray[tuple[int], np.dtype[np.bool_]], walk: Trajectory) -> float:
    return float(mask.sum() * (walk.at[1] - walk.at[0]))
