"""Findings on a line: the ways in which it can miss people, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from contracts.identity import Direction
from contracts.spec import CountingLine, Side
from services.cli.diagnosis.approach import NEAR, Approach, approach, crossings_of
from services.cli.diagnosis.findings import Code, Finding, Severity
from services.cli.diagnosis.proposal import Proposal, in_mid_picture
from services.cli.diagnosis.trajectories import Trajectory

MISSED: Final = 0.34
"""Share of the people that the proposed line counts. A line that counts a smaller share is misplaced."""
ALONG_DEGREES: Final = 30.0
ROUND_THE_END: Final = 10.0
"""Widths beyond a line's end within which a passing person walks around it."""
STANDING_SECONDS: Final = 3.0
MANY_OUT: Final = 6
NEARLY_ALL: Final = 0.9


def about_line(
    line: CountingLine, walks: Sequence[Trajectory], size: tuple[int, int], proposal: Proposal | None
) -> Iterator[Finding]:
    """Yield the findings on one line.

    Args:
        line: the line to check.
        walks: trajectories of the detected people, pixels of the frame.
        size: width and height of the frame.
        proposal: the line that would count best.
    """
    walkers = [walk for walk in walks if walk.moves or crossings_of(line, walk, size)]
    approaches = [approach(line, walk, size) for walk in walkers]
    crossed = sum(bool(each.crossings) for each in approaches)
    around = [each for each in approaches if each.passed is not None and each.passed_by <= ROUND_THE_END]
    countable = proposal.people if proposal else len(walkers)
    figures: dict[str, float] = {"walkers": len(walkers), "crossed": crossed}
    move = f"move it, for example to {proposal.pasted}" if proposal else "move it across their way"
    if walkers and crossed <= MISSED * countable and len(around) < max(2, len(walkers) / 3):
        yield _misplaced(line, approaches, crossed, move, figures)
    elif around and len(around) >= max(2, 0.1 * len(walkers)):
        yield _too_short(line, around, len(walkers), figures)
    stood = sorted((approach(line, walk, size).stood for walk in walks), reverse=True)
    if stood and stood[0] >= STANDING_SECONDS:
        yield _standing(line, stood)
    yield from _swapped(line, walkers, approaches, size)


def _misplaced(
    line: CountingLine, approaches: Sequence[Approach], crossed: int, move: str, figures: dict[str, float]
) -> Finding:
    """Find the reason for which a line in the wrong place counts few people."""
    total = len(approaches)
    nobody = "nobody crosses it" if not crossed else f"only {crossed} of {total} cross it"
    near = [each for each in approaches if each.nearest < NEAR]
    angles = [each.angle for each in near if each.angle is not None]
    angle = float(np.median(angles)) if angles else 90.0
    stops = sum((each.begins or each.ends) and not each.crossings for each in near)
    figures = figures | {"near": len(near), "angle": round(angle, 1), "begin_or_end_there": stops}
    if len(near) < max(1, total / 3):
        code, what = Code.LINE_OUTSIDE, f"the line lies outside where people walk: {nobody}"
    elif angle < ALONG_DEGREES:
        code = Code.LINE_ALONG
        what = f"people walk along the line, not across it ({angle:.0f}° to it): {nobody}"
    elif stops >= len(near) / 2:
        code = Code.LINE_AT_THE_END
        what = (
            f"people come into view, or are lost, at the line itself, so that they are seen on one side only: {nobody}"
        )
    else:
        code, what = Code.NO_CROSSING, f"people come to the line and turn, and {nobody}"
    return Finding(code, Severity.PROBLEM, _about(line, what), move, line.id, figures)


def _too_short(line: CountingLine, around: Sequence[Approach], total: int, figures: dict[str, float]) -> Finding:
    places = [each.passed for each in around if each.passed is not None]
    first, second = min(0.0, *places), max(1.0, *places)
    # A little beyond the outermost person, within the frame.
    spare = 0.1 * (second - first)
    ends = []
    for name, place in (("first", first), ("second", second)):
        if 0.0 <= place <= 1.0:
            continue
        reach = place + (spare if place > 1 else -spare)
        x, y = line.x1 + reach * (line.x2 - line.x1), line.y1 + reach * (line.y2 - line.y1)
        ends.append(f"the {name} point to {min(1.0, max(0.0, x)):.2f},{min(1.0, max(0.0, y)):.2f}")
    share = len(around) / total
    return Finding(
        Code.LINE_TOO_SHORT,
        Severity.PROBLEM if share > 0.3 else Severity.WARNING,
        _about(line, f"{len(around)} of {total} people walk around the end of the line"),
        "make it longer: move " + " and ".join(ends),
        line.id,
        figures | {"around": len(around)},
    )


def _standing(line: CountingLine, stood: Sequence[float]) -> Finding:
    people, seconds = sum(each >= STANDING_SECONDS for each in stood), sum(stood)
    subject = "one person stands" if people == 1 else f"{people} people stand"
    return Finding(
        Code.STANDING_ON_LINE,
        Severity.WARNING,
        _about(line, f"{subject} on the line, for {seconds:.0f} s in all"),
        "move it a step away, to where people only walk",
        line.id,
        {"standing": people, "seconds": round(seconds, 1)},
    )


def _swapped(
    line: CountingLine, walkers: Sequence[Trajectory], approaches: Sequence[Approach], size: tuple[int, int]
) -> Iterator[Finding]:
    """Ask if the sides are swapped: nearly all go OUT, and appear in mid-frame on the IN side, as through a door.

    It is a question only, as a camera outside of a shop that closes would rightly see the same.
    """
    directions = [direction for each in approaches for direction in each.crossings]
    outs = directions.count(Direction.OUT)
    if outs < MANY_OUT or outs < NEARLY_ALL * len(directions):
        return
    in_is_right = line.in_side is Side.RIGHT
    leaving = [(walk, each) for walk, each in zip(walkers, approaches, strict=True) if Direction.OUT in each.crossings]
    door = sum(in_mid_picture(walk.boxes[0], size) and each.begins_right == in_is_right for walk, each in leaving)
    if door < len(leaving) * 2 / 3:
        return
    other = Side.LEFT if in_is_right else Side.RIGHT
    yield Finding(
        Code.SWAPPED,
        Severity.QUESTION,
        _about(
            line,
            f"are IN and OUT swapped? {outs} of {len(directions)} crossings go OUT, and {door} of these people came "
            "into view in mid-picture on the IN side, as through a door",
        ),
        f"if the camera hangs inside and that is the door, set IN={other}",
        line.id,
        {"outs": outs, "crossings": len(directions), "through_a_door": door},
    )


def _about(line: CountingLine, what: str) -> str:
    """Prefix a text with the line's id, unless that is the default."""
    return what if line.id == "line" else f"line {line.id}: {what}"
