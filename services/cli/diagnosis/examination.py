"""Derivation of all findings and a proposed line from an observation."""

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
from services.cli.diagnosis.trajectories import Trajectory
from services.cli.diagnosis.view import ViewFigures


@dataclass(frozen=True, slots=True)
class Observation:
    """The observation of a camera over a minute.

    Attributes:
        size: width and height of the frames, pixels.
        seconds: length of the observation.
        rate: processed frames per second.
        scale: pixels of the model's input per pixel of the frame, vertically, with slicing where it is used; None for
            a model without an input of its own.
        view: statistics of the picture.
        walks: trajectories of the people that the model detected.
        movers: trajectories of anything that moves, by background subtraction.
    """

    size: tuple[int, int]
    seconds: float
    rate: float
    scale: float | None
    view: ViewFigures
    walks: tuple[Trajectory, ...]
    movers: tuple[Trajectory, ...] = ()

    @property
    def walkers(self) -> int:
        """Number of people who walk."""
        return sum(walk.moves for walk in self.walks)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result: findings, most important first; the line that would count best; the number of people who walk."""

    findings: tuple[Finding, ...]
    proposal: Proposal | None
    walkers: int

    @property
    def well(self) -> bool:
        """True if there is neither a problem nor a warning."""
        return all(finding.severity in (Severity.FINE, Severity.QUESTION) for finding in self.findings)


def diagnose(observation: Observation, lines: tuple[CountingLine, ...], before: Iterable[Finding] = ()) -> Diagnosis:
    """Diagnose a camera and its lines; without a line, propose one.

    Args:
        observation: the observation of the camera.
        lines: the camera's lines.
        before: findings to include, such as those on the video file.
    """
    proposal = propose(observation.walks, observation.size, lines[0] if lines else None)
    findings = [
        *before,
        *about_view(observation.view, people=len(observation.walks)),
        *about_people(
            observation.walks,
            observation.movers,
            scale=observation.scale,
            rate=observation.rate,
            dark=observation.view.brightness < DARK,
        ),
    ]
    for line in lines:
        findings += about_line(line, observation.walks, observation.size, proposal)
    if not lines:
        findings.append(_no_line(proposal))
    walkers = sum(walk.moves or bool(_crossed(observation, lines, walk)) for walk in observation.walks)
    if observation.walks and not walkers:
        findings.append(nobody_walks(observation.walks, observation.movers))
    diagnosis = Diagnosis(ranked(findings), proposal, walkers)
    if lines and diagnosis.well:
        return Diagnosis((*diagnosis.findings, _all_well(observation, lines, walkers)), proposal, walkers)
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


def _all_well(observation: Observation, lines: tuple[CountingLine, ...], walkers: int) -> Finding:
    directions = [direction for walk in observation.walks for direction in _crossed(observation, lines, walk)]
    ins = directions.count(Direction.IN)
    outs = len(directions) - ins
    people = "1 person walks" if walkers == 1 else f"{walkers} people walk"
    return Finding(
        Code.ALL_WELL,
        Severity.FINE,
        f"all is well: {people}, IN {ins} and OUT {outs} in {observation.seconds:.0f} s",
        figures={"in": ins, "out": outs, "walkers": walkers},
    )


def _crossed(observation: Observation, lines: tuple[CountingLine, ...], walk: Trajectory) -> list[Direction]:
    return [direction for line in lines for direction in crossings_of(line, walk, observation.size)]
