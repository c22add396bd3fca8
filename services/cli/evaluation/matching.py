"""Matching of counted crossings with true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.identity import Direction


@dataclass(frozen=True, slots=True)
class Instant:
    """The frame and direction of a crossing. `frame` counts the clip's own frames, and may be a fraction."""

    frame: float
    direction: Direction


@dataclass(frozen=True, slots=True)
class Matching:
    """The result of comparing a count with the truth.

    Attributes:
        matched: pairs of a counted and a true crossing of the same direction, near in time, each used once.
        missed: true crossings without a partner.
        false: counted crossings without a partner, including those in the wrong direction.
        wrong_direction: number of false ones near a missed one of the other direction.
        missed_at: the missed ones, in order of time.
        false_at: the false ones, in order of time.
    """

    matched: int
    missed: int
    false: int
    wrong_direction: int
    missed_at: tuple[Instant, ...] = field(default=(), compare=False)
    false_at: tuple[Instant, ...] = field(default=(), compare=False)


def match(counted: Sequence[Instant], true: Sequence[Instant], *, tolerance: float) -> Matching:
    """Compare a count with the truth, by a matching with the greatest number of pairs.

    Args:
        counted: in any order.
        true: in any order.
        tolerance: greatest distance of a pair, in frames.
    """
    matched = 0
    missed: dict[Direction, list[float]] = {}
    false: dict[Direction, list[float]] = {}
    for direction in Direction:
        pairs, false[direction], missed[direction] = _pair(
            [instant.frame for instant in counted if instant.direction is direction],
            [instant.frame for instant in true if instant.direction is direction],
            tolerance,
        )
        matched += pairs
    wrong = sum(
        _pair(false[direction], missed[other], tolerance)[0]
        for direction, other in ((Direction.IN, Direction.OUT), (Direction.OUT, Direction.IN))
    )
    missed_at, false_at = _in_order(missed), _in_order(false)
    return Matching(matched, len(missed_at), len(false_at), wrong, missed_at, false_at)


def _in_order(frames: dict[Direction, list[float]]) -> tuple[Instant, ...]:
    instants = (Instant(frame, direction) for direction in frames for frame in frames[direction])
    return tuple(sorted(instants, key=lambda instant: (instant.frame, instant.direction)))


def _pair(counted: list[float], true: list[float], tolerance: float) -> tuple[int, list[float], list[float]]:
    """Pair frames that are near each other. Returns the number of pairs, and the unpaired frames of both lists.

    Taking the earliest partner in reach is optimal, since all windows have the same width.
    """
    left_counted, left_true = sorted(counted), sorted(true)
    pairs, single_counted, single_true = 0, [], []
    while left_counted and left_true:
        if left_counted[0] < left_true[0] - tolerance:
            single_counted.append(left_counted.pop(0))
        elif left_true[0] < left_counted[0] - tolerance:
            single_true.append(left_true.pop(0))
        else:
            left_counted.pop(0)
            left_true.pop(0)
            pairs += 1
    return pairs, single_counted + left_counted, single_true + left_true
