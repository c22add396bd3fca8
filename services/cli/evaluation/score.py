"""Scores of a clip's count: totals, matched crossings, and totals by the quarter of an hour for long clips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from contracts.events import Crossing
from contracts.identity import Direction
from services.cli.evaluation.matching import Instant, Matching, match
from services.cli.evaluation.truth import Clip

QUARTER = 15 * 60
"""Seconds of the services' smallest permanent bucket, by which managers plan."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Crossings in each direction, counted and true."""

    ins: int
    outs: int
    truth_in: int
    truth_out: int

    @classmethod
    def of(cls, counted: Iterable[Instant], true: Iterable[Instant]) -> Totals:
        """Sum up counted and true crossings."""
        ways = [[instant.direction for instant in instants] for instants in (counted, true)]
        ins, outs, truth_in, truth_out = (
            way.count(direction) for way in ways for direction in (Direction.IN, Direction.OUT)
        )
        return cls(ins, outs, truth_in, truth_out)

    @classmethod
    def sum(cls, parts: Iterable[Totals]) -> Totals:
        """Add up totals."""
        rows = [(part.ins, part.outs, part.truth_in, part.truth_out) for part in parts]
        return cls(*map(sum, zip(*rows, strict=True))) if rows else cls(0, 0, 0, 0)

    def as_json(self) -> dict[str, JsonValue]:
        """Return the totals' fields for `--json`."""
        return {"in": self.ins, "out": self.outs, "truth_in": self.truth_in, "truth_out": self.truth_out}


@dataclass(frozen=True, slots=True)
class Score:
    """The score of a clip's count.

    Attributes:
        clip: name of the file.
        fps: processed frames per second; None for all.
        totals: of the whole clip.
        matching: of the crossings.
        quarters: totals by the quarter of an hour from the clip's beginning; empty for a clip of one quarter or less.
            A crossing belongs to the quarter in which it was counted, as in the services' rollups.
    """

    clip: str
    fps: float | None
    totals: Totals
    matching: Matching
    quarters: tuple[Totals, ...]

    def as_json(self) -> dict[str, JsonValue]:
        """Return the clip's object for `--json`."""
        fields: dict[str, JsonValue] = {"clip": self.clip, "fps": self.fps, **self.totals.as_json()}
        fields |= {
            "matched": self.matching.matched,
            "missed": self.matching.missed,
            "false": self.matching.false,
            "wrong_direction": self.matching.wrong_direction,
            "missed_at": _as_json(self.matching.missed_at),
            "false_at": _as_json(self.matching.false_at),
        }
        if self.quarters:
            fields["quarters"] = [
                {"minute": 15 * number, **quarter.as_json()} for number, quarter in enumerate(self.quarters)
            ]
        return fields


def score(name: str, clip: Clip, crossings: Sequence[Crossing], *, fps: float | None, seconds: float) -> Score:
    """Compare a clip's count with its truth.

    Args:
        name: name of the clip's file.
        clip: its truth.
        crossings: the counted ones; their `at` is the time in the clip, ns.
        fps: processed frames per second, None for all.
        seconds: length of the clip.
    """
    counted, true = [Instant(crossing.at / 1e9 * clip.fps, crossing.direction) for crossing in crossings], clip.truth
    number = -int(-seconds // QUARTER) if seconds > QUARTER else 0
    quarters = [
        Totals.of(*([each for each in instants if _quarter(each, clip) == quarter] for instants in (counted, true)))
        for quarter in range(number)
    ]
    return Score(
        clip=name,
        fps=fps,
        totals=Totals.of(counted, true),
        matching=match(counted, true, tolerance=clip.tolerance),
        quarters=tuple(quarters),
    )


def _quarter(instant: Instant, clip: Clip) -> int:
    return int(instant.frame / clip.fps // QUARTER)


def _as_json(instants: Iterable[Instant]) -> JsonValue:
    return [[round(instant.frame, 1), instant.direction.value] for instant in instants]
