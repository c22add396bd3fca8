"""Watches one counting line: how each tracked person stands to it, and which crossings that makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import hypot, sqrt
from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from contracts.events import Crossing, Model
from contracts.identity import Direction
from contracts.spec import CountingLine
from services.tracker.counting.crossing_rule import Decision, Gate, Passage, conclude
from services.tracker.tracking.tracker import Gone, Sighting

BREAK_SECONDS: Final = 0.5
"""A track that was seen this lately may be the one that goes on under another number."""
BREAK_REACH: Final = 0.5
"""How far from there, in sizes of the person (the side of the square of their box's area)."""

TOUCH: Final = 0.1
"""How near another's box may be, in parts of a box's height, before it is taken for a part of the same person."""


class LineState(BaseModel):
    """A watched line as a checkpoint keeps it, by track number."""

    model_config = ConfigDict(frozen=True)

    line: str
    revision: int
    passages: dict[int, Passage] = {}
    waiting: dict[int, tuple[Decision, ...]] = {}


class LineWatch:
    """One revision of a line, in one session.

    A track that is not confirmed yet may cross already: its crossings wait, and are decided when it is confirmed. So
    somebody who comes into the picture one step before the line is counted, and a shadow is not.

    A person whose track breaks in the band, and who goes on there under another number, is still on the side that they
    came from.
    """

    def __init__(self, line: CountingLine) -> None:
        self.line = line
        self._passages: dict[int, Passage] = {}
        self._waiting: dict[int, tuple[Decision, ...]] = {}

    def see(self, sightings: Sequence[Sighting], at: int, width: int, height: int) -> list[Decision]:
        """Take in a frame's sightings, in pixels of a frame of this size, captured at a time in ns.

        Returns:
            the crossings decided by it.
        """
        gate = Gate.of(self.line, width, height)
        decided: list[Decision] = []
        for person in sightings:
            before = self._passages.get(person.track) or self._broken(person, gate, sightings, at)
            apart = not gate.holds(person.box) or _apart(person, sightings)
            passage, decision = gate.advance(before, person.box, at, apart=apart)
            if passage is not None:
                self._passages[person.track] = passage
            if decision is not None:
                self._waiting[person.track] = (*self._waiting.get(person.track, ()), decision)
            if person.confirmed and person.track in self._waiting:
                decided.extend(self._waiting.pop(person.track))
        return decided

    def _broken(self, person: Sighting, gate: Gate, sightings: Sequence[Sighting], at: int) -> Passage | None:
        """Take over the passage of a track that broke off a moment ago where a new one begins in the band."""
        if not gate.holds(person.box):
            return None
        (x, y), (x1, y1, x2, y2) = gate.anchor(person.box), person.box
        there = {other.track for other in sightings}
        reach = BREAK_REACH * sqrt((x2 - x1) * (y2 - y1))
        near = [
            (away, track)
            for track, broken in self._passages.items()
            if track not in there
            and at - broken.at <= BREAK_SECONDS * 1e9
            and (away := hypot(broken.x * gate.width - x, broken.y * gate.height - y)) <= reach
        ]
        return self._passages.pop(min(near)[1]) if near else None

    def forget(self, gone: Iterable[Gone]) -> list[Decision]:
        """Drop what is known of tracks that ended.

        Returns:
            the crossings decided by that.
        """
        ended = [(track.confirmed, self._passages.pop(track.track, None)) for track in gone]
        for track in gone:
            self._waiting.pop(track.track, None)
        concluded = (conclude(self.line, passage) for confirmed, passage in ended if confirmed and passage is not None)
        return [decision for decision in concluded if decision is not None]

    def state(self) -> LineState:
        """Everything that the next sighting depends on."""
        return LineState(
            line=self.line.id, revision=self.line.revision, passages=dict(self._passages), waiting=dict(self._waiting)
        )

    @classmethod
    def restore(cls, line: CountingLine, state: LineState) -> Self:
        """Go on from a state of the same line at the same revision."""
        watch = cls(line)
        watch._passages, watch._waiting = dict(state.passages), dict(state.waiting)
        return watch


def crossings_of(
    line: CountingLine,
    decided: Iterable[Decision],
    *,
    run: str,
    store: str,
    camera: str,
    session: str,
    seq: int,
    spec_revision: int,
    model: Model | None = None,
) -> list[Crossing]:
    """A line's crossings of one frame, by their place along it: each one's rank among those of its direction names it.

    Args:
        line: that was crossed.
        decided: by the frame, in any order.
        run, store, camera, session, seq: which frame.
        spec_revision: that was in force.
        model: that found the people; None where that is not known.
    """
    ranks = dict.fromkeys(Direction, -1)
    found: list[Crossing] = []
    for direction, met in sorted(decided, key=lambda decision: (decision.met.place, decision.met.at)):
        ranks[direction] += 1
        found.append(
            Crossing(
                run=run,
                id=Crossing.identify(camera, line.id, line.revision, session, seq, direction, ranks[direction]),
                store=store,
                camera=camera,
                line=line.id,
                line_revision=line.revision,
                direction=direction,
                session=session,
                seq=seq,
                at=met.at,
                place=met.place,
                spec_revision=spec_revision,
                model=model,
            )
        )
    return found


def _apart(person: Sighting, sightings: Sequence[Sighting]) -> bool:
    """Whether nobody else's box touches this one's, or all but touches it."""
    x1, y1, x2, y2 = person.box
    gap = TOUCH * (y2 - y1)
    return not any(
        other.track != person.track
        and other.box[0] < x2 + gap
        and other.box[2] > x1 - gap
        and other.box[1] < y2 + gap
        and other.box[3] > y1 - gap
        for other in sightings
    )
