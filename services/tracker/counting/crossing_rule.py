"""The crossing rule: when a path over a counting line is a crossing. Pure geometry, knows nothing of tracking.

    side −          ┊     │     ┊          side +
                    ┊     │     ┊
    ●───────────────┊──╮  │     ┊             turned back inside the band: nothing
                    ┊  │  │     ┊
    ●───────────────┊──╯  │     ┊
    ●───────────────┊─────╳──╮  ┊             one crossing, at ╳ where it last met the line,
                    ┊     │  ╰──┊──●          decided at ● when it had left the band

A person is on a side once the anchor has been beyond the band there. A crossing is the change from one side to the
other by way of the segment: a path around its end changes sides and counts nothing. The band is as wide as a part of
the person's own box, measured across the line, so that swaying, and a box that breathes, never count.

Some are never seen beyond the band on one of the sides: a door hides them there, or the picture ends. They are on the
side of the line where they were first seen, or last, if that was clear of its core; beyond the band on the other side
they must have been:

    side −          ┊   ┆ │ ┆   ┊          side +
                    ┊ ●─┆─╳─┆───┊──●          first seen in the band: one crossing, decided at the second ●
    ●───────────────┊───┆─╳─┆─● ┊             last seen in the band: one crossing, decided when they are given up
                    ┊ ●─┆─╳─┆─● ┊             both, somebody who stands on the line: nothing

Sides: with y down, `s = (x2−x1)·(py−y1) − (y2−y1)·(px−x1)` is positive on the right of someone who walks from the
line's first point to its second.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, hypot
from typing import NamedTuple, Self

from contracts.events import Box
from contracts.identity import Direction
from contracts.spec import Anchor, CountingLine, Side

BAND = 0.2
"""Half the band's width, in parts of the person's extent across the line."""

CORE = 0.5
"""Half the core's width, in parts of the band's. Where people come into view at a line, this decides more truly than a
wider one, and as truly as a narrower one that trembling boxes would get over: see docs/decisions/025."""


class Met(NamedTuple):
    """Where and when a path met the line: ns, and 0 … 1 from its first to its second point."""

    at: int
    place: float


class Passage(NamedTuple):
    """How one person stands to one line.

    Attributes:
        x, y: the anchor when last seen, normalised to the frame, so that a change of its size changes nothing.
        at: when that was, ns.
        side: the side they are on: 1 right, −1 left, 0 not known yet.
        met: set while the path since leaving that side's ground has gone over the segment an odd number of times.
        sure: they have been beyond the band; otherwise the side is where they were first seen.
        leans: the side of the core that they were last seen on, 0 in it, or where others stood too near to tell.
    """

    x: float
    y: float
    at: int
    side: int
    met: Met | None = None
    sure: bool = True
    leans: int = 0


class Decision(NamedTuple):
    """A crossing that has just been decided."""

    direction: Direction
    met: Met


@dataclass(frozen=True, slots=True)
class Gate:
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
        """The line on a frame of this size."""
        x1, y1 = line.x1 * width, line.y1 * height
        dx, dy = line.x2 * width - x1, line.y2 * height - y1
        return cls(line, width, height, x1, y1, dx, dy, hypot(dx, dy))

    def distance(self, x: float, y: float) -> float:
        """Pixels from the (endless) line, positive on its right."""
        return (self.dx * (y - self.y1) - self.dy * (x - self.x1)) / self.length

    def place(self, x: float, y: float) -> float:
        """How far along the line: 0 at its first point, 1 at its second."""
        return (self.dx * (x - self.x1) + self.dy * (y - self.y1)) / (self.length * self.length)

    def band(self, box: Box) -> float:
        """Half the band's width for this person, pixels."""
        across = abs(self.dy) * (box[2] - box[0]) + abs(self.dx) * (box[3] - box[1])
        return BAND * across / self.length

    def anchor(self, box: Box) -> tuple[float, float]:
        """The point of the box that has to cross, pixels."""
        x1, y1, x2, y2 = box
        return (x1 + x2) / 2, (y2 if self.line.anchor is Anchor.FOOT else (y1 + y2) / 2)

    def holds(self, box: Box) -> bool:
        """Whether this person is in the band."""
        return abs(self.distance(*self.anchor(box))) <= self.band(box)

    def advance(
        self, passage: Passage | None, box: Box, at: int, *, apart: bool = True
    ) -> tuple[Passage | None, Decision | None]:
        """Go one sighting further.

        Args:
            passage: how the person stood to the line before, None at first.
            box: of the person now, x1, y1, x2, y2 in pixels.
            at: when, ns.
            apart: nobody else's box touches theirs. Otherwise this may be a part of somebody who is counted already,
                and where in the band it is first or last seen says nothing.

        Returns:
            how they stand now, and the crossing that this decides, if any.
        """
        x, y = self.anchor(box)
        now = self.distance(x, y)
        if now == 0.0:
            return passage, None  # exactly on the line: on neither side, and the next sighting knows more
        here, away, band = int(copysign(1.0, now)), abs(now), self.band(box)
        leans = here if apart and away > CORE * band else 0
        if passage is None:
            side, met, sure = leans, None, False
        else:
            side, met, sure = passage.side, self._meet(passage, x, y, now, at), passage.sure
        decision = None
        if away > band:
            if side == -here and met is not None:
                decision = Decision(_direction(self.line, here), met)
            side, met, sure = here, None, True
        return Passage(x / self.width, y / self.height, at, side, met, sure, leans), decision

    def _meet(self, passage: Passage, x: float, y: float, now: float, at: int) -> Met | None:
        """Go straight on from the last sighting. Returns the meeting that now stands, see `Passage.met`."""
        x0, y0 = passage.x * self.width, passage.y * self.height
        before = self.distance(x0, y0)
        if before * now >= 0.0:
            return passage.met
        part = before / (before - now)
        place = self.place(x0 + part * (x - x0), y0 + part * (y - y0))
        if not 0.0 <= place <= 1.0:
            return passage.met
        return None if passage.met else Met(passage.at + round(part * (at - passage.at)), place)


def conclude(line: CountingLine, passage: Passage) -> Decision | None:
    """The crossing of a person who will not be seen again: they had gone over the line, and were leaving its band."""
    if passage.met is None or not passage.sure or passage.leans != -passage.side:
        return None
    return Decision(_direction(line, passage.leans), passage.met)


def _direction(line: CountingLine, side: int) -> Direction:
    """Which way somebody went who is now on this side."""
    inside = 1 if line.in_side is Side.RIGHT else -1
    return Direction.IN if side == inside else Direction.OUT
