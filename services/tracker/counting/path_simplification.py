"""A path, simplified while it is walked: few points, each gap between two of them straight enough.

The swinging door (E. H. Bristol, "Swinging door trending", ISA 1990) on all coordinates of the box at once: from the
last kept point, each later box opens a door of the slopes that pass within the tolerance of it. While the way to the
newest box lies within all the doors, the boxes between need not be kept. It decides at once, remembers one door per
coordinate however long the track, and its error is bounded, in place and in time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import gt
from typing import Final, NamedTuple, Self

from contracts.events import Box, PathPoint
from contracts.identity import Nanoseconds

PIECE_NS: Final = 10_000_000_000
"""A longer path is published in pieces."""
PIECE_POINTS: Final = 24
"""So is one with more points: what a checkpoint holds of a track stays small."""
TOLERANCE: Final = (0.005, 0.005, 0.015, 0.01)
"""Of cx, cy, w, h, in heights of the person: the anchors are kept best, they are what crosses lines. Twice as much
takes a fifth less room and makes a recount miss or invent four times as many crossings: see docs/decisions/045."""

_MS: Final = 1_000_000
_Slopes = tuple[float, float, float, float]
_OPEN: Final[_Slopes] = (1e300, 1e300, 1e300, 1e300)
_SHUT: Final[_Slopes] = (-1e300, -1e300, -1e300, -1e300)


class Point(NamedTuple):
    """A box at a time, ns."""

    at: int
    box: Box

    def rounded(self) -> Self:
        """Kept to 1/100 pixel, as it travels: that also keeps checkpoints small."""
        x1, y1, x2, y2 = self.box
        return self._replace(box=(round(x1, 2), round(y1, 2), round(x2, 2), round(y2, 2)))


class Trace(NamedTuple):
    """A path that is still being walked.

    Attributes:
        part: number of this piece of the track's path.
        kept: the points that are decided, at least one.
        last: the newest point, not decided yet.
        least, most: per coordinate, the slopes (per ms) from the last kept point that miss no box between.
        gaps: from one sighting to the next, where frames between the two did not show the person: ms after the first.
    """

    part: int
    kept: tuple[Point, ...]
    last: Point
    least: _Slopes = _SHUT
    most: _Slopes = _OPEN
    gaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A finished piece of a path."""

    part: int
    at: Nanoseconds
    points: tuple[PathPoint, ...]
    gaps: tuple[tuple[int, int], ...]


def begin(at: int, box: Box, part: int = 0) -> Trace:
    """A path of one point."""
    point = Point(at, box)
    return Trace(part, (point.rounded(),), point)


def extend(trace: Trace, at: int, box: Box, *, missed: bool = False) -> tuple[Trace, Piece | None]:
    """Go on to a box.

    Args:
        trace: the path up to now.
        at: when it was seen, ns.
        box: x1, y1, x2, y2 in pixels.
        missed: whether a frame between the last sighting and this one did not show the person.

    Returns:
        the path, and its last piece, if that has become long enough to publish. A piece begins where the one before
        ended. Where time stands still or goes back, the path is taken up anew.
    """
    if at - trace.last.at < _MS:
        return begin(at, box, trace.part + 1), finish(trace)
    gaps = trace.gaps
    if missed:
        gaps = (*gaps, (_offset(trace, trace.last.at), _offset(trace, at)))
    trace = _swing(trace, Point(at, box))._replace(gaps=gaps)
    if max(len(trace.kept), len(gaps)) < PIECE_POINTS and at - trace.kept[0].at < PIECE_NS:
        return trace, None
    return begin(at, box, trace.part + 1), finish(trace)


def finish(trace: Trace) -> Piece:
    """The piece as far as it has come."""
    points = trace.kept if trace.last.at == trace.kept[-1].at else (*trace.kept, trace.last.rounded())
    return Piece(
        trace.part,
        points[0].at,
        tuple(PathPoint(t=_offset(trace, at), box=box) for at, box in points),
        trace.gaps,
    )


def _offset(trace: Trace, at: int) -> int:
    return (at - trace.kept[0].at) // _MS


def _swing(trace: Trace, point: Point) -> Trace:
    """Add a point: keep the last one if the way from the last kept point to this one misses a box between."""
    kept, least, most = trace.kept, trace.least, trace.most
    slopes = _slopes(kept[-1], point)
    if any(map(gt, least, slopes)) or any(map(gt, slopes, most)):
        kept, least, most = (*kept, trace.last.rounded()), _SHUT, _OPEN
        slopes = _slopes(kept[-1], point)
    allowed = (point.box[3] - point.box[1]) * _MS / (point.at - kept[-1].at)
    a, b, c, d = slopes
    ta, tb, tc, td = (tolerance * allowed for tolerance in TOLERANCE)
    return Trace(
        trace.part,
        kept,
        point,
        _both(max, least, (a - ta, b - tb, c - tc, d - td)),
        _both(min, most, (a + ta, b + tb, c + tc, d + td)),
    )


def _both(choose: Callable[[float, float], float], one: _Slopes, other: _Slopes) -> _Slopes:
    a, b, c, d = map(choose, one, other)
    return a, b, c, d


def _slopes(start: Point, end: Point) -> _Slopes:
    ms = (end.at - start.at) / _MS
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = start.box, end.box
    return (
        (bx1 + bx2 - ax1 - ax2) / 2 / ms,
        (by1 + by2 - ay1 - ay2) / 2 / ms,
        (bx2 - bx1 - ax2 + ax1) / ms,
        (by2 - by1 - ay2 + ay1) / ms,
    )
