"""The crossing rule: decides when a path is a crossing of a counting line. Pure geometry, independent of tracking.

    side −          ┊     │     ┊          side +
                    ┊     │     ┊
    ●───────────────┊──╮  │     ┊             turned back inside the band: nothing
                    ┊  │  │     ┊
    ●───────────────┊──╯  │     ┊
    ●───────────────┊─────╳──╮  ┊             one crossing, at ╳ of the last intersection,
                    ┊     │  ╰──┊──●          decided at ● outside of the band

A person is on a side once the anchor has been beyond the band there. A crossing is the change from one side to the
other through the segment: a path around its end changes sides and counts nothing. The band's width is a fraction of the
person's own box, measured across the line, so that swaying, and a box that changes its size, never count.

Some people are never seen beyond the band on one of the sides: a door hides them there, or the picture ends. Their side
is the one on which they were first seen, or last, if that was outside of the band's core; on the other side they must
have been beyond the band:

    side −          ┊   ┆ │ ┆   ┊          side +
                    ┊ ●─┆─╳─┆───┊──●          first seen in the band: one crossing, decided at the second ●
    ●───────────────┊───┆─╳─┆─● ┊             last seen in the band: one crossing, decided when the track ends
                    ┊ ●─┆─╳─┆─● ┊             both, a person standing on the line: nothing

Sides: with y down, `s = (x2−x1)·(py−y1) − (y2−y1)·(px−x1)` is positive on the right of a person walking from the line's
first point to its second.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, hypot
from typing import NamedTuple, Self

from contracts.events import Box
from contracts.identity import Direction
from contracts.spec import Anchor, CountingLine, Side

BAND = 0.2
"""Half of the band's width, as a fraction of the person's extent across the line."""

CORE = 0.5
"""Half of the core's width, as a fraction of half of the band's. For people who appear at a line, this decides better
than a wider core, and as well as a narrower one, which trembling boxes would leave: see docs/decisions/025."""


class Intersection(NamedTuple):
    """Time and place at which a path met the line: ns, and 0 … 1 from its first to its second point."""

    at: int
    place: float


class CrossingState(NamedTuple):
    """State of one person at one line.

    Attributes:
        x, y: the anchor when last seen, normalised to the frame, so that a change of the frame's size changes nothing.
        at: time when last seen, ns.
        side: the side that the person is on: 1 right, −1 left, 0 not known yet.
        intersection: the last one, while the path since that side has gone over the segment an odd number of times.
        sure: True once the person has been beyond the band; until then `side` is where they were first seen.
        leans: the side of the core on which they were last seen; 0 in the core, or with other people too near.
    """

    x: float
    y: float
    at: int
    side: int
    intersection: Intersection | None = None
    sure: bool = True
    leans: int = 0


class Decision(NamedTuple):
    """A crossing that has just been decided."""

    direction: Direction
    intersection: Intersection


@dataclass(frozen=True, slots=True)
class LineGeometry:
    """A counting line in the pixels of a frame."""

    line: CountingLine
    width: int
    height: int
    x1: float
    y1: float
    dx: float
    dy: float
    length: float

    @classmethod
    def of(cls, line: CountingLine, width: int, height: int) -> Self:
        """The line on a frame of this size in pixels."""
        x1, y1 = line.x1 * width, line.y1 * height
        dx, dy = line.x2 * width - x1, line.y2 * height - y1
        return cls(line, width, height, x1, y1, dx, dy, hypot(dx, dy))

    def distance(self, x: float, y: float) -> float:
        """Distance from the infinite line, pixels, positive on its right."""
        return (self.dx * (y - self.y1) - self.dy * (x - self.x1)) / self.length

    def place(self, x: float, y: float) -> float:
        """Position along the line: 0 at its first point, 1 at its second."""
        return (self.dx * (x - self.x1) + self.dy * (y - self.y1)) / (self.length * self.length)

    def band(self, box: Box) -> float:
        """Half of the band's width for this person, pixels."""
        across = abs(self.dy) * (box[2] - box[0]) + abs(self.dx) * (box[3] - box[1])
        return BAND * across / self.length

    def anchor(self, box: Box) -> tuple[float, float]:
        """The point of the box that crosses the line, pixels."""
        x1, y1, x2, y2 = box
        return (x1 + x2) / 2, (y2 if self.line.anchor is Anchor.FOOT else (y1 + y2) / 2)

    def holds(self, box: Box) -> bool:
        """Tell whether this person is in the band."""
        return abs(self.distance(*self.anchor(box))) <= self.band(box)

    def advance(
        self, state: CrossingState | None, box: Box, at: int, *, apart: bool = True
    ) -> tuple[CrossingState | None, Decision | None]:
        """Take in the next sighting of a person.

        Args:
            state: the person's state before; None at first.
            box: of the person now, x1, y1, x2, y2 in pixels.
            at: time of the sighting, ns.
            apart: True where no other box touches theirs. Otherwise this may be a part of a person who is counted
                already, and its first or last place in the band proves nothing.

        Returns:
            the state now, and the crossing that this sighting decides, if any.
        """
        x, y = self.anchor(box)
        now = self.distance(x, y)
        if now == 0.0:
            return state, None  # exactly on the line is on neither side; the next sighting decides
        here, away, band = int(copysign(1.0, now)), abs(now), self.band(box)
        leans = here if apart and away > CORE * band else 0
        if state is None:
            side, intersection, sure = leans, None, False
        else:
            side, intersection, sure = state.side, self._intersect(state, x, y, now, at), state.sure
        decision = None
        if away > band:
            if side == -here and intersection is not None:
                decision = Decision(_direction(self.line, here), intersection)
            side, intersection, sure = here, None, True
        return CrossingState(x / self.width, y / self.height, at, side, intersection, sure, leans), decision

    def _intersect(self, state: CrossingState, x: float, y: float, now: float, at: int) -> Intersection | None:
        """The new `CrossingState.intersection` after a straight step from the last sighting."""
        x0, y0 = state.x * self.width, state.y * self.height
        before = self.distance(x0, y0)
        if before * now >= 0.0:
            return state.intersection
        part = before / (before - now)
        place = self.place(x0 + part * (x - x0), y0 + part * (y - y0))
        if not 0.0 <= place <= 1.0:
            return state.intersection
        return None if state.intersection else Intersection(state.at + round(part * (at - state.at)), place)


def conclude(line: CountingLine, state: CrossingState) -> Decision | None:
    """The crossing of a person whose track has ended: gone over the line, and last seen beyond its core."""
    if state.intersection is None or not state.sure or state.leans != -state.side:
        return None
    return Decision(_direction(line, state.leans), state.intersection)


def _direction(line: CountingLine, side: int) -> Direction:
    """The direction of a crossing that ends on this side."""
    inside = 1 if line.in_side is Side.RIGHT else -1
    return Direction.IN if side == inside else Direction.OUT
