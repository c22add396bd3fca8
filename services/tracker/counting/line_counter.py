"""Counts the crossings of one line: applies the crossing rule to all tracks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import hypot, sqrt
from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from contracts.events import Crossing, Model
from contracts.identity import Direction
from contracts.spec import CountingLine
from services.tracker.counting.crossing_rule import CrossingState, Decision, LineGeometry, conclude
from services.tracker.tracking.tracker import EndedTrack, Sighting

BREAK_SECONDS: Final = 0.5
"""Seconds for which an unseen track may go on under another number."""
BREAK_REACH: Final = 0.5
"""Distance within which it goes on, in sizes of the person (the side of the square of their box's area)."""

TOUCH: Final = 0.1
"""Gap between two boxes, as a fraction of a box's height, below which they may be of the same person."""


class LineState(BaseModel):
    """State of a line counter in a checkpoint, by track number."""

    model_config = ConfigDict(frozen=True)

    line: str
    revision: int
    passages: dict[int, CrossingState] = {}
    waiting: dict[int, tuple[Decision, ...]] = {}


class LineCounter:
    """Counter of one revision of a line, in one session.

    Crossings of a track that is not confirmed yet wait, and are decided when it is confirmed. So a person who appears
    one step before the line is counted, and a shadow is not.

    If a person's track breaks in the band and goes on there under another number, they are still on the side that they
    came from.
    """

    def __init__(self, line: CountingLine) -> None:
        self.line = line
        self._states: dict[int, CrossingState] = {}
        self._waiting: dict[int, tuple[Decision, ...]] = {}

    def see(self, sightings: Sequence[Sighting], at: int, width: int, height: int) -> list[Decision]:
        """Take in a frame's sightings.

        Args:
            sightings: of the frame.
            at: time of the frame, ns.
            width, height: of the frame, pixels.

        Returns:
            the crossings decided by it.
        """
        geometry = LineGeometry.of(self.line, width, height)
        decided: list[Decision] = []
        for person in sightings:
            before = self._states.get(person.track) or self._broken(person, geometry, sightings, at)
            apart = not geometry.holds(person.box) or _apart(person, sightings)
            state, decision = geometry.advance(before, person.box, at, apart=apart)
            if state is not None:
                self._states[person.track] = state
            if decision is not None:
                self._waiting[person.track] = (*self._waiting.get(person.track, ()), decision)
            if person.confirmed and person.track in self._waiting:
                decided.extend(self._waiting.pop(person.track))
        return decided

    def _broken(
        self, person: Sighting, geometry: LineGeometry, sightings: Sequence[Sighting], at: int
    ) -> CrossingState | None:
        """Take over the state of a track that broke off a moment ago near a new one in the band."""
        if not geometry.holds(person.box):
            return None
        (x, y), (x1, y1, x2, y2) = geometry.anchor(person.box), person.box
        present = {other.track for other in sightings}
        reach = BREAK_REACH * sqrt((x2 - x1) * (y2 - y1))
        near = [
            (away, track)
            for track, broken in self._states.items()
            if track not in present
            and at - broken.at <= BREAK_SECONDS * 1e9
            and (away := hypot(broken.x * geometry.width - x, broken.y * geometry.height - y)) <= reach
        ]
        return self._states.pop(min(near)[1]) if near else None

    def forget(self, ended: Iterable[EndedTrack]) -> list[Decision]:
        """Drop the state of tracks that ended.

        Returns:
            the crossings decided by that.
        """
        states = [(track.confirmed, self._states.pop(track.track, None)) for track in ended]
        for track in ended:
            self._waiting.pop(track.track, None)
        concluded = (conclude(self.line, state) for confirmed, state in states if confirmed and state is not None)
        return [decision for decision in concluded if decision is not None]

    def state(self) -> LineState:
        """The state on which the next sighting depends."""
        return LineState(
            line=self.line.id, revision=self.line.revision, passages=dict(self._states), waiting=dict(self._waiting)
        )

    @classmethod
    def restore(cls, line: CountingLine, state: LineState) -> Self:
        """Go on from a state of the same line at the same revision."""
        counter = cls(line)
        counter._states, counter._waiting = dict(state.passages), dict(state.waiting)
        return counter


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
    """A line's crossings of one frame, by their place along it: the rank within a direction is part of a crossing's id.

    Args:
        line: that was crossed.
        decided: by the frame, in any order.
        run, store, camera, session, seq: of the frame.
        spec_revision: in force.
        model: of the detections; None where it is not known.
    """
    ranks = dict.fromkeys(Direction, -1)
    crossings: list[Crossing] = []
    by_place = sorted(decided, key=lambda decision: (decision.intersection.place, decision.intersection.at))
    for direction, intersection in by_place:
        ranks[direction] += 1
        crossings.append(
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
                at=intersection.at,
                place=intersection.place,
                spec_revision=spec_revision,
                model=model,
            )
        )
    return crossings


def _apart(person: Sighting, sightings: Sequence[Sighting]) -> bool:
    """Tell whether no other box touches this one, or nearly touches it."""
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
