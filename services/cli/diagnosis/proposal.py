"""Proposal of a line: straight across the main flow, at the place where most paths are long on both sides.

All directions (in steps from the flow's own normal) and places are tried. Each trajectory that passes from one side to
the other votes for a line: with more weight the longer it is on both sides, and the squarer it passes.
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
from services.cli.diagnosis.trajectories import Floats, Trajectory

DIRECTIONS: Final = 12
PLACES: Final = 32
CLEAR: Final = 2.5
"""Widths that a path should continue beyond the line on each side: more makes a count no safer."""
STANDING_COSTS: Final = 0.03
"""Part of a trajectory's vote that is deducted for each second in which a person stands at the line."""
CLOSE: Final = 0.7
"""Widths from the line within which a standing person may sway over it."""
SPARE: Final = 2.0
"""Widths by which the line extends beyond the outermost path."""
TO_THE_BORDER: Final = 0.08
"""Fraction of the frame: a line that ends this close to the border is extended to it."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A line that counts the observed people.

    Attributes:
        line: ready for use.
        people: number of people who cross it.
        walkers: number of people who walk.
        ins: crossings inwards.
        outs: crossings outwards.
        side_known: true if its IN side is that of an existing line; else it is a guess.
    """

    line: CountingLine
    people: int
    walkers: int
    ins: int
    outs: int
    side_known: bool

    @property
    def pasted(self) -> str:
        """The line as `./taskw up` and `metrica count` accept it."""
        line = self.line
        return f"LINE={line.x1:g},{line.y1:g},{line.x2:g},{line.y2:g} IN={line.in_side}"


def propose(walks: Sequence[Trajectory], size: tuple[int, int], like: CountingLine | None = None) -> Proposal | None:
    """Find the line that counts the trajectories best.

    Args:
        walks: trajectories of the detected people, also of standing ones.
        size: width and height of the frame, pixels.
        like: the present line: its id, its anchor and, if it is nearly parallel, its IN side are kept.

    Returns:
        None if fewer than two people walk, or no line is passed by two.
    """
    walkers = [walk for walk in walks if walk.moves]
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
        # A direction must be clearly better than the flow's own normal, which is tried first.
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
    directions = [direction for crossings in counted for direction in crossings]
    people = sum(map(bool, counted))
    ins = directions.count(Direction.IN)
    if people < 2:
        return None
    known = like is not None and _parallel(line, like, size) is not None
    return Proposal(line, people, len(walkers), ins, len(directions) - ins, known)


def _flow(walkers: Sequence[Trajectory], paths: Sequence[Floats]) -> float:
    """Return the main axis of walking, radians: the mean of doubled angles, for which there and back are the same."""
    total = 0j
    for walk, path in zip(walkers, paths, strict=True):
        steps = (path[5:] - path[:-5]) / walk.width
        if len(steps):
            moves = steps[:, 0] + 1j * steps[:, 1]
            total += (moves**2 / np.maximum(np.abs(moves), 1e-9)).sum()
    return float(np.angle(total)) / 2


def _standing(walks: Sequence[Trajectory], anchor: Anchor) -> Floats:
    """Return the samples at which people stand, (N, 4): x, y, width, seconds."""
    rows = [
        np.column_stack([walk.anchors(anchor), np.full(len(walk.at), walk.width), np.gradient(walk.at)])[walk.slow]
        for walk in walks
    ]
    return np.concatenate(rows)


def _best_place(
    angle: float, paths: Sequence[Floats], walkers: Sequence[Trajectory], standing: Floats
) -> tuple[float, float]:
    """Return the best line of one direction: its value, and its offset along the normal in pixels."""
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
    # Among equally good places, the middle one is the safest.
    good = np.flatnonzero(values >= values.max() - 0.02 * max(1.0, values.max()))
    chosen = good[len(good) // 2]
    return float(values[chosen]), float(offsets[chosen])


def _segment(
    angle: float, offset: float, paths: Sequence[Floats], walkers: Sequence[Trajectory], size: tuple[int, int]
) -> CountingLine | None:
    """Return the segment of an infinite line that contains all its passages, within the frame."""
    along, normal = np.array([cos(angle), sin(angle)]), np.array([-sin(angle), cos(angle)])
    reach: list[tuple[float, float]] = []
    for walk, path in zip(walkers, paths, strict=True):
        across = path @ normal - offset
        turns = np.flatnonzero(across[:-1] * across[1:] <= 0)
        reach += [(place - SPARE * walk.width, place + SPARE * walk.width) for place in (path @ along)[turns]]
    inside = _inside(along, normal * offset, size)
    if not reach or inside is None:
        return None
    low, high = max(min(begin for begin, _ in reach), inside[0]), min(max(end for _, end in reach), inside[1])
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
        return None  # shorter than the least length of a line


def _inside(along: Floats, base: Floats, size: tuple[int, int]) -> tuple[float, float] | None:
    """Return the multiples of `along` from `base` between which a line is in the frame (Liang and Barsky, 1984)."""
    low, high = -np.inf, np.inf
    for step, start, most in zip(along, base, size, strict=True):
        if abs(step) < 1e-9:
            if not 0 <= start <= most:
                return None
            continue
        enter, leave = sorted((-start / step, (most - start) / step))
        low, high = max(low, enter), min(high, leave)
    return (float(low), float(high)) if low < high else None


def _in_side(
    line: CountingLine, like: CountingLine | None, walkers: Sequence[Trajectory], size: tuple[int, int]
) -> Side | None:
    """Choose the side of IN: that of the present line; else the one opposite the doorway.

    A doorway is a place in mid-frame where people appear and vanish.
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
    """Tell if a box (4,) is clear of the border: a person who first appears there came through a door."""
    spare = 0.02 * max(size)
    return bool((box[:2] > spare).all() and (box[2:] < np.array(size) - spare).all())


def _parallel(line: CountingLine, like: CountingLine, size: tuple[int, int]) -> bool | None:
    """Compare the directions of two lines: True for the same, False for opposite, None if they are near square."""
    first = np.array([line.x2 - line.x1, line.y2 - line.y1]) * size
    second = np.array([like.x2 - like.x1, like.y2 - like.y1]) * size
    cosine = float(first @ second / (np.hypot(*first) * np.hypot(*second)))
    return None if abs(cosine) < 0.3 else cosine > 0


def _other(side: Side) -> Side:
    return Side.LEFT if side is Side.RIGHT else Side.RIGHT
