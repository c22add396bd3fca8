"""Where a line would count best: straight across the main flow, where most paths are long on both sides.

All directions (in steps from the flow's own normal) and places are tried; each walk that passes from one side to the
other speaks for a line by how far it is seen on both sides of it, and by how squarely it passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from typing import Final

import numpy as np

from contracts.identity import Direction
from contracts.spec import Anchor, CountingLine, Side
from services.cli.diagnosis.approach import crossings_of
from services.cli.diagnosis.trajectories import Floats, Walk

DIRECTIONS: Final = 12
PLACES: Final = 32
CLEAR: Final = 2.5
"""Widths that a path should go on beyond the line on each side: more makes a count no safer."""
STANDING_COSTS: Final = 0.03
"""Of one walk's voice, for each second that somebody stands at the line."""
CLOSE: Final = 0.7
"""Widths from the line within which who stands may come to sway over it."""
SPARE: Final = 2.0
"""Widths that the line goes on beyond the outermost path."""
TO_THE_BORDER: Final = 0.08
"""Of the picture: a line that ends so close to the border goes on to it."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A line that would count.

    Attributes:
        line: ready to use.
        people: walks that cross it.
        walkers: walks there are.
        ins, outs: crossings that it makes of them.
        side_known: whether its IN side is that of an existing line; else it is a guess.
    """

    line: CountingLine
    people: int
    walkers: int
    ins: int
    outs: int
    side_known: bool

    @property
    def pasted(self) -> str:
        """As `./taskw up` and `metrica count` take it."""
        line = self.line
        return f"LINE={line.x1:g},{line.y1:g},{line.x2:g},{line.y2:g} IN={line.in_side}"


def propose(walks: Sequence[Walk], size: tuple[int, int], like: CountingLine | None = None) -> Proposal | None:
    """Find the line that counts these walks best.

    Args:
        walks: of the people seen, standing ones too.
        size: width and height of the frame, pixels.
        like: the line there is: its name, anchor and, where it can be told, its IN side are kept.

    Returns:
        None where fewer than two people walk, or no line is passed by two.
    """
    walkers = [walk for walk in walks if walk.walks]
    if len(walkers) < 2:
        return None
    anchor = like.anchor if like else Anchor.CENTER
    paths = [walk.anchors(anchor) for walk in walkers]
    standing = _standing(walks, anchor)
    flow = _flow(walkers, paths)
    best: tuple[float, float, float] | None = None
    for step in range(DIRECTIONS):
        angle = flow + pi / 2 + step * pi / DIRECTIONS
        value, offset = _best_place(angle, paths, walkers, standing)
        # A direction has to be clearly better than the flow's own normal, which is tried first.
        if best is None or value > best[0] + 0.02 * len(walkers):
            best = (value, angle, offset)
    assert best is not None
    _, angle, offset = best
    line = _segment(angle, offset, paths, walkers, size)
    if line is None:
        return None
    side = _in_side(line, like, walkers, size)
    line = line.model_copy(update={"anchor": anchor, "in_side": side or Side.RIGHT, "id": like.id if like else "line"})
    counted = [crossings_of(line, walk, size) for walk in walkers]
    every = [direction for crossings in counted for direction in crossings]
    people = sum(map(bool, counted))
    ins = every.count(Direction.IN)
    if people < 2:
        return None
    known = like is not None and _parallel(line, like, size) is not None
    return Proposal(line, people, len(walkers), ins, len(every) - ins, known)


def _flow(walkers: Sequence[Walk], paths: Sequence[Floats]) -> float:
    """The axis along which most is walked, radians: the mean of doubled angles, in which there and back are one."""
    total = 0j
    for walk, path in zip(walkers, paths, strict=True):
        steps = (path[5:] - path[:-5]) / walk.width
        if len(steps):
            moves = steps[:, 0] + 1j * steps[:, 1]
            total += (moves**2 / np.maximum(np.abs(moves), 1e-9)).sum()
    return float(np.angle(total)) / 2


def _standing(walks: Sequence[Walk], anchor: Anchor) -> Floats:
    """(N, 4): x, y, width, seconds of the samples at which people stand."""
    rows = [
        np.column_stack([walk.anchors(anchor), np.full(len(walk.at), walk.width), np.gradient(walk.at)])[walk.slow]
        for walk in walks
    ]
    return np.concatenate(rows)


def _best_place(
    angle: float, paths: Sequence[Floats], walkers: Sequence[Walk], standing: Floats
) -> tuple[float, float]:
    """The best offset along the normal of lines in one direction: its value, and the offset in pixels."""
    normal = np.array([-sin(angle), cos(angle)])
    ends = np.array([[path[0] @ normal, path[-1] @ normal] for path in paths])
    nets = np.array([path[-1] - path[0] for path in paths])
    square = np.abs(nets @ normal) / np.maximum(np.hypot(*nets.T), 1e-9)
    widths = np.array([walk.width for walk in walkers])
    offsets = np.linspace(ends.min(), ends.max(), PLACES + 2)[1:-1]
    first, last = ends[:, :1] - offsets, ends[:, 1:] - offsets
    clear = np.minimum(np.abs(first), np.abs(last)) / widths[:, None] / CLEAR
    voices = np.where(first * last < 0, np.minimum(clear, 1.0) * square[:, None] ** 2, 0.0)
    near = np.abs((standing[:, :2] @ normal)[:, None] - offsets) < CLOSE * standing[:, 2:3]
    values = voices.sum(axis=0) - STANDING_COSTS * (near * standing[:, 3:4]).sum(axis=0)
    # Where several places are as good, the middle one is the safest.
    good = np.flatnonzero(values >= values.max() - 0.02 * max(1.0, values.max()))
    chosen = good[len(good) // 2]
    return float(values[chosen]), float(offsets[chosen])


def _segment(
    angle: float, offset: float, paths: Sequence[Floats], walkers: Sequence[Walk], size: tuple[int, int]
) -> CountingLine | None:
    """The part of the endless line that all who pass it pass through, within the picture."""
    along, normal = np.array([cos(angle), sin(angle)]), np.array([-sin(angle), cos(angle)])
    reach: list[tuple[float, float]] = []
    for walk, path in zip(walkers, paths, strict=True):
        across = path @ normal - offset
        turns = np.flatnonzero(across[:-1] * across[1:] <= 0)
        reach += [(place - SPARE * walk.width, place + SPARE * walk.width) for place in (path @ along)[turns]]
    inside = _inside(along, normal * offset, size)
    if not reach or inside is None:
        return None
    low, high = max(min(one for one, _ in reach), inside[0]), min(max(two for _, two in reach), inside[1])
    border = TO_THE_BORDER * max(size)
    low = inside[0] if low - inside[0] < border else low
    high = inside[1] if inside[1] - high < border else high
    (x1, y1), (x2, y2) = normal * offset + along * low, normal * offset + along * high
    if (x2, y2) < (x1, y1):
        x1, y1, x2, y2 = x2, y2, x1, y1
    x1, x2 = (min(1.0, max(0.0, round(float(x) / size[0], 3))) for x in (x1, x2))
    y1, y2 = (min(1.0, max(0.0, round(float(y) / size[1], 3))) for y in (y1, y2))
    try:
        return CountingLine(id="line", x1=x1, y1=y1, x2=x2, y2=y2)
    except ValueError:
        return None  # shorter than a line may be


def _inside(along: Floats, base: Floats, size: tuple[int, int]) -> tuple[float, float] | None:
    """Between which multiples of `along` from `base` an endless line lies in the picture (Liang and Barsky, 1984)."""
    low, high = -np.inf, np.inf
    for step, start, most in zip(along, base, size, strict=True):
        if abs(step) < 1e-9:
            if not 0 <= start <= most:
                return None
            continue
        one, two = sorted((-start / step, (most - start) / step))
        low, high = max(low, one), min(high, two)
    return (float(low), float(high)) if low < high else None


def _in_side(
    line: CountingLine, like: CountingLine | None, walkers: Sequence[Walk], size: tuple[int, int]
) -> Side | None:
    """The side of IN: that of the line there is; else away from the doorway.

    A doorway is where people appear and vanish in mid-picture.
    """
    if like is not None and (same := _parallel(line, like, size)) is not None:
        return like.in_side if same else _other(like.in_side)
    (ax, ay), (bx, by) = (line.x1 * size[0], line.y1 * size[1]), (line.x2 * size[0], line.y2 * size[1])
    right = left = 0
    for walk in walkers:
        for box in (walk.boxes[0], walk.boxes[-1]):
            if in_mid_picture(box, size):
                x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
                on_right = (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0
                right, left = right + on_right, left + (not on_right)
    if right == left:
        return None
    return Side.LEFT if right > left else Side.RIGHT


def in_mid_picture(box: Floats, size: tuple[int, int]) -> bool:
    """Whether a box (4,) keeps clear of the border: who first appears so came through a door, not past the edge."""
    spare = 0.02 * max(size)
    return bool((box[:2] > spare).all() and (box[2:] < np.array(size) - spare).all())


def _parallel(line: CountingLine, like: CountingLine, size: tuple[int, int]) -> bool | None:
    """Whether two lines lead the same way (True) or opposite ways (False); None where they stand too square to say."""
    one = np.array([line.x2 - line.x1, line.y2 - line.y1]) * size
    two = np.array([like.x2 - like.x1, like.y2 - like.y1]) * size
    cosine = float(one @ two / (np.hypot(*one) * np.hypot(*two)))
    return None if abs(cosine) < 0.3 else cosine > 0


def _other(side: Side) -> Side:
    return Side.LEFT if side is Side.RIGHT else Side.RIGHT
