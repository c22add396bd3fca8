"""How one person's walk stands to one line: over it, along it, around its end, up to it, or nowhere near.

Distances are in widths of the person, so that one rule fits near and far, a wide picture and a narrow one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.events import Box
from contracts.identity import Direction
from contracts.spec import CountingLine
from services.cli.diagnosis.trajectories import Floats, Walk
from services.tracker.counting.crossing_rule import CrossingState, LineGeometry

NEAR: Final = 1.2
"""Widths from the line within which somebody has come to it."""
AT: Final = 0.35
"""Widths from the line within which who stands is on it, or sways over it."""
AROUND: Final = 2.5
"""Widths from the line within which the way they walk is measured."""


@dataclass(frozen=True, slots=True)
class Approach:
    """A walk and a line.

    Attributes:
        crossings: that this walk makes, by the tracker's own rule.
        nearest: least distance from the segment, widths.
        angle: between the way walked around the line and the line, 0 (along it) … 90 (straight across) degrees; None
            where the person never walks there.
        passed: where the walk passes the endless line outside the segment, in lengths of the line: below 0 before its
            first point, above 1 beyond its second; None where it does not.
        passed_by: how far from the nearer end that is, widths.
        stood: seconds of standing at the line.
        begins, ends: the walk begins, or ends, at the line.
        begins_right: whether it begins on the line's right.
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


def approach(line: CountingLine, walk: Walk, size: tuple[int, int]) -> Approach:
    """See how a walk stands to a line, on frames of this width and height in pixels."""
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


def crossings_of(line: CountingLine, walk: Walk, size: tuple[int, int]) -> tuple[Direction, ...]:
    """The crossings of a line on one walk, by the rule that the tracker counts with."""
    geometry = LineGeometry.of(line, *size)
    state: CrossingState | None = None
    found: list[Direction] = []
    for at, (x1, y1, x2, y2) in zip(walk.at.tolist(), walk.boxes.tolist(), strict=True):
        box: Box = (x1, y1, x2, y2)
        state, decision = geometry.advance(state, box, round(at * 1e9))
        if decision is not None:
            found.append(decision.direction)
    return tuple(found)


def _passed(places: Floats, across: Floats) -> float | None:
    """Where the walk last goes over the endless line, if that is outside the segment."""
    turns = np.flatnonzero((across[:-1] < 0) != (across[1:] < 0))
    if not len(turns):
        return None
    before, after = across[turns], across[turns + 1]
    met = places[turns] + before / (before - after) * (places[turns + 1] - places[turns])
    if ((met >= 0) & (met <= 1)).any():
        return None
    return float(met[-1])


def _angle(points: Floats, near: np.ndarray[tuple[int], np.dtype[np.bool_]], walk: Walk, along: Floats) -> float | None:
    """Length-weighted angle of the steps taken near the line, degrees."""
    steps = np.diff(points, axis=0)[(near & ~walk.slow)[:-1]]
    ahead, aside = np.abs(steps @ along).sum(), np.abs(steps @ np.array([-along[1], along[0]])).sum()
    return float(np.degrees(np.arctan2(aside, ahead))) if ahead + aside > 0 else None


def _seconds(mask: np.ndarray[tuple[int], np.dtype[np.bool_]], walk: Walk) -> float:
    return float(mask.sum() * (walk.at[1] - walk.at[0]))
