"""From what was observed in a minute to all findings and a proposed line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.identity import Direction
from contracts.spec import CountingLine
from services.cli.diagnosis.approach import crossings_of
from services.cli.diagnosis.checks_line import about_line
from services.cli.diagnosis.checks_people import about_people, nobody_walks
from services.cli.diagnosis.checks_view import DARK, about_view
from services.cli.diagnosis.findings import Code, Finding, Severity, ranked
from services.cli.diagnosis.proposal import Proposal, propose
from services.cli.diagnosis.trajectories import Walk
from services.cli.diagnosis.view import View


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of a camera.

    Attributes:
        size: width and height of the frames, pixels.
        seconds: looked at.
        rate: frames per second that are counted with.
        scale: pixels of the model's input per pixel of the frame, downwards, where it looks closest; None where the
            model has no such input.
        view: the picture in figures.
        walks: of the people that the model saw.
        movers: what moves, as background subtraction sees it.
    """

    size: tuple[int, int]
    seconds: float
    rate: float
    scale: float | None
    view: View
    walks: tuple[Walk, ...]
    movers: tuple[Walk, ...] = ()

    @property
    def walkers(self) -> int:
        """How many walk."""
        return sum(walk.walks for walk in self.walks)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Findings, most important first, the line that would count best, and how many walk or cross a line."""

    findings: tuple[Finding, ...]
    proposal: Proposal | None
    walkers: int

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return all(one.severity in (Severity.FINE, Severity.QUESTION) for one in self.findings)


def diagnose(seen: Observation, lines: tuple[CountingLine, ...], before: Iterable[Finding] = ()) -> Diagnosis:
    """Say what is wrong with a camera and its lines; with no line, only where one should be.

    Args:
        seen: of the camera.
        lines: that count.
        before: what else was found.
    """
    proposal = propose(seen.walks, seen.size, lines[0] if lines else None)
    found = [
        *before,
        *about_view(seen.view, people=len(seen.walks)),
        *about_people(seen.walks, seen.movers, scale=seen.scale, rate=seen.rate, dark=seen.view.brightness < DARK),
    ]
    for line in lines:
        found += about_line(line, seen.walks, seen.size, proposal)
    if not lines:
        found.append(_no_line(proposal))
    walkers = sum(walk.walks or bool(_crossed(seen, lines, walk)) for walk in seen.walks)
    if seen.walks and not walkers:
        found.append(nobody_walks(seen.walks, seen.movers))
    diagnosis = Diagnosis(ranked(found), proposal, walkers)
    if lines and diagnosis.well:
        return Diagnosis((*diagnosis.findings, _all_well(seen, lines, walkers)), proposal, walkers)
    return diagnosis


def _no_line(proposal: Proposal | None) -> Finding:
    if proposal is None:
        advice = "too few people walked to say where: look at another minute"
        return Finding(Code.NO_LINE, Severity.WARNING, "there is no line yet", advice)
    side = "IN is where the picture's arrow points; turn it round if people come in the other way"
    return Finding(
        Code.NO_LINE,
        Severity.FINE,
        "there is no line yet",
        f"{proposal.pasted} crosses the way of {proposal.people} of {proposal.walkers} people ({side})",
        figures={"people": proposal.people, "walkers": proposal.walkers},
    )


def _all_well(seen: Observation, lines: tuple[CountingLine, ...], walkers: int) -> Finding:
    every = [one for walk in seen.walks for one in _crossed(seen, lines, walk)]
    ins = every.count(Direction.IN)
    outs = len(every) - ins
    people = "1 person walks" if walkers == 1 else f"{walkers} people walk"
    return Finding(
        Code.ALL_WELL,
        Severity.FINE,
        f"all is well: {people}, IN {ins} and OUT {outs} in {seen.seconds:.0f} s",
        figures={"in": ins, "out": outs, "walkers": walkers},
    )


def _crossed(seen: Observation, lines: tuple[CountingLine, ...], walk: Walk) -> list[Direction]:
    return [one for line in lines for one in crossings_of(line, walk, seen.size)]
