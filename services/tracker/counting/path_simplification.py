"""Online simplification of paths: keeps few points, between which the path is nearly straight.

The swinging-door algorithm (E. H. Bristol, "Swinging door trending", ISA 1990) on all coordinates of the box at once:
from the last kept point, each later box opens a door of the slopes that pass within the tolerance of it. While the
straight way to the newest box lies within all doors, the boxes between need not be kept. It decides at once, needs one
door per coordinate for any length of a track, and its error is bounded, in place and in time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import gt
from typing import Final, NamedTuple, Self

from contracts.events import Box, PathPoint
from contracts.identity import Nanoseconds

PIECE_NS: Final = 10_000_000_000
"""Length of a path, ns, from which it is published in pieces."""
PIECE_POINTS: Final = 24
"""Most points of a piece, so that a track takes little room in a checkpoint."""
TOLERANCE: Final = (0.005, 0.005, 0.015, 0.01)
"""For cx, cy, w, h, in heights of the person. Smallest for the anchors, as they cross lines. Twice as much takes a
fifth less room, and a recount then misses or invents four times as many crossings: see docs/decisions/045."""

_MS: Final = 1_000_000
_Slopes = tuple[float, float, float, float]
_OPEN: Final[_Slopes] = (1e300, 1e300, 1e300, 1e300)
_SHUT: Final[_Slopes] = (-1e300, -1e300, -1e300, -1e300)


class Point(NamedTuple):
    """A box at a time, ns."""

    at: int
    box: Box

    def rounded(self) -> Self:
        """Rounded to 1/100 pixel, as it is published; this also keeps checkpoints small."""
        x1, y1, x2, y2 = self.box
        return self._replace(box=(round(x1, 2), round(y1, 2), round(x2, 2), round(y2, 2)))


class OpenPath(NamedTuple):
    """An unfinished piece of a path.

    Attributes:
        part: number of this piece of the track's path.
        kept: the kept points, at least one.
        last: the newest point, not decided yet.
        least, most: per coordinate, bounds of the slopes (per ms) from the last kept point that miss no box between.
        gaps: from one sighting to the next, with frames between them that did not show the person; ms after the first
            point.
    """

    part: int
    kept: tuple[Point, ...]
    last: Point
    least: _Slopes = _SHUT
    most: _Slopes = _OPEN
    gaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PathPiece:
    """A finished piece of a path."""

    part: int
    at: Nanoseconds
    points: tuple[PathPoint, ...]
    gaps: tuple[tuple[int, int], ...]


def begin(at: int, box: Box, part: int = 0) -> OpenPath:
    """Begin a path, at its first point."""
    point = Point(at, box)
    return OpenPath(part, (point.rounded(),), point)


def extend(path: OpenPath, at: int, box: Box, *, missed: bool = False) -> tuple[OpenPath, PathPiece | None]:
    """Extend a path to a box.

    Args:
        path: up to now.
        at: time of the sighting, ns.
        box: x1, y1, x2, y2 in pixels.
        missed: True where a frame between the last sighting and this one did not show the person.

    Returns:
        the path, and a finished piece, where it is long enough to be published. The next piece begins where that one
        ended. Where time stands still or goes back, a new piece begins at this box.
    """
    if at - path.last.at < _MS:
        return begin(at, box, path.part + 1), finish(path)
    gaps = path.gaps
    if missed:
        gaps = (*gaps, (_offset(path, path.last.at), _offset(path, at)))
    path = _swing(path, Point(at, box))._replace(gaps=gaps)
    if max(len(path.kept), len(gaps)) < PIECE_POINTS and at - path.kept[0].at < PIECE_NS:
        return path, None
    return begin(at, box, path.part + 1), finish(path)


def finish(path: OpenPath) -> PathPiece:
    """Finish a piece at its newest point."""
    points = path.kept if path.last.at == path.kept[-1].at else (*path.kept, path.last.rounded())
    return PathPiece(
        path.part,
        points[0].at,
        tuple(PathPoint(t=_offset(path, at), box=box) for at, box in points),
        path.gaps,
    )


def _offset(path: OpenPath, at: int) -> int:
    return (at - path.kept[0].at) // _MS


def _swing(path: OpenPath, point: Point) -> OpenPath:
    """Add a point. Keeps the previous one if the way from the last kept point to the new one misses a box between."""
    kept, least, most = path.kept, path.least, path.most
    slopes = _slopes(kept[-1], point)
    if any(map(gt, least, slopes)) or any(map(gt, slopes, most)):
        kept, least, most = (*kept, path.last.rounded()), _SHUT, _OPEN
        slopes = _slopes(kept[-1], point)
    allowed = (point.box[3] - point.box[1]) * _MS / (point.at - kept[-1].at)
    a, b, c, d = slopes
    ta, tb, tc, td = (tolerance * allowed for tolerance in TOLERANCE)
    return OpenPath(
        path.part,
        kept,
        point,
        _both(max, least, (a - ta, b - tb, c - tc, d - td)),
        _both(min, most, (a + ta, b + tb, c + tc, d + td)),
    )


def _both(choose: Callable[[float, float], float], first: _Slopes, second: _Slopes) -> _Slopes:
    a, b, c, d = map(choose, first, second)
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
