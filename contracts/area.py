"""Region filter and zones of a camera. All coordinates are fractions of the frame: 0 … 1, y down.

    ┌──────────────────────────────┐
    │  ╔════════════════════╗      │    ═ a region: people are detected in it …
    │  ║        ┌┄┄┄┄┄┐     ║      │    ┄ … except in an ignored part: a mirror, a screen, a poster
    │  ║  ●     ┆  ○  ┆     ║  ○   │    ● is kept, ○ are dropped
    │  ║        └┄┄┄┄┄┘     ║      │
    │  ╚════════════════════╝      │
    └──────────────────────────────┘

A polygon's border belongs to it: a person cut off by the frame's edge stands in a region that reaches up to the edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.identity import Token

Point = tuple[float, float]
Polygon = tuple[Point, ...]
"""Corners in order around the polygon; the last is joined to the first."""

SMALLEST = 0.0004
"""Least fraction of the frame that a polygon covers: a smaller one holds no person, and is a slip of the hand."""


class DetectionArea(BaseModel):
    """The region filter of a camera: detections outside of it are dropped. By default all of the frame is kept.

    Attributes:
        regions: people are detected in these only; empty for the whole frame.
        ignore: parts without detections, even inside of a region.
        min_height: least height of a person's box, as a fraction of the frame's height.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    regions: tuple[Polygon, ...] = ()
    ignore: tuple[Polygon, ...] = ()
    min_height: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    def whole(self) -> bool:
        """True if all detections are kept."""
        return not self.regions and not self.ignore and self.min_height == 0

    def sees(self, x: float, y: float) -> bool:
        """Tell if detections at a point are kept."""
        if any(contains(polygon, x, y) for polygon in self.ignore):
            return False
        return not self.regions or any(contains(polygon, x, y) for polygon in self.regions)

    def seen_part(self, start: Point, end: Point) -> float:
        """Return the fraction of a segment, 0 … 1, on which detections are kept."""
        (x, y), (dx, dy) = start, (end[0] - start[0], end[1] - start[1])
        cuts = {0.0, 1.0}
        for a, b in (side for polygon in (*self.regions, *self.ignore) for side in _sides(polygon)):
            across = dx * (b[1] - a[1]) - dy * (b[0] - a[0])
            if across:
                cuts.add(min(max(((a[0] - x) * (b[1] - a[1]) - (a[1] - y) * (b[0] - a[0])) / across, 0.0), 1.0))
        # No side is crossed between two cuts, so that the middle decides for the whole stretch.
        return sum(
            after - before
            for before, after in pairwise(sorted(cuts))
            if self.sees(x + dx * (before + after) / 2, y + dy * (before + after) / 2)
        )

    @model_validator(mode="after")
    def _are_polygons(self) -> Self:
        for kind, polygons in (("region", self.regions), ("ignored part", self.ignore)):
            for number, polygon in enumerate(polygons, start=1):
                if problem := _problem(polygon):
                    raise ValueError(f"{kind} {number}: {problem}")
        return self


class Zone(BaseModel):
    """A named area of the frame, such as a till or a shelf. Presence in it is reported; crossings count as ever.

    A person is in a zone if the middle of the box's lower edge (the feet) is in it. Zones may overlap.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Token
    name: str = ""
    polygon: Polygon

    @model_validator(mode="after")
    def _is_a_polygon(self) -> Self:
        if problem := _problem(self.polygon):
            raise ValueError(f"zone {self.id}: {problem}")
        return self


def contains(polygon: Polygon, x: float, y: float) -> bool:
    """Tell if a point lies in a polygon or on its border (a ray to the right meets an odd number of its sides)."""
    inside = False
    x1, y1 = polygon[-1]
    for x2, y2 in polygon:
        if y1 <= y <= y2 or y2 <= y <= y1:  # skip the other sides quickly: this runs for every person
            turn = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
            if turn == 0 and (x1 <= x <= x2 or x2 <= x <= x1):
                return True
            if (y1 > y) != (y2 > y) and (turn > 0) == (y2 > y1):
                inside = not inside
        x1, y1 = x2, y2
    return inside


def _problem(polygon: Polygon) -> str | None:
    """Describe the fault of a polygon; None if it is valid."""
    for x, y in polygon:
        if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
            return (
                f"the point ({x:g}, {y:g}) lies outside the picture; "
                "coordinates go from 0 (left, top) to 1 (right, bottom)"
            )
    if len(set(polygon)) < 3:
        return f"it has {len(set(polygon))} corners; give at least three points, going round it"
    if any(_cross(side, other) for side, other in combinations(_sides(polygon), 2)):
        return "its sides cross each other; give its corners in order, going round it"
    if abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in _sides(polygon))) / 2 < SMALLEST:
        return "it covers next to nothing of the picture; draw it larger"
    return None


def _sides(polygon: Polygon) -> Iterator[tuple[Point, Point]]:
    return pairwise((*polygon, polygon[0]))


def _cross(segment: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Tell if two segments properly intersect; touching is not enough."""
    return _apart(segment, other) and _apart(other, segment)


def _apart(line: tuple[Point, Point], ends: tuple[Point, Point]) -> bool:
    """Tell if two points lie on opposite sides of a line."""
    (x1, y1), (x2, y2) = line
    first, second = ((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) for x, y in ends)
    return first * second < 0
