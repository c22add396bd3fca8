"""Records where tracks go, as pieces of simplified paths: all that moved lines, heat maps and dwell need.

What was never confirmed is recorded, too: a box that nobody owns for long may still part a person's track in two, or
touch them at a line, and a recount must see what the count saw.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Self

from services.tracker.counting import path_simplification as tracing
from services.tracker.counting.path_simplification import Piece, Trace
from services.tracker.tracking.tracker import Gone, Sighting


class Walked(NamedTuple):
    """A finished piece of a track's path; the `final` one is its last. Unless `confirmed` it is no person's by now."""

    track: int
    piece: Piece
    final: bool
    confirmed: bool


class PathRecorder:
    """The paths that are being walked, by track number."""

    def __init__(self) -> None:
        self._traces: dict[int, Trace] = {}
        self._confirmed: set[int] = set()

    def see(self, sightings: Iterable[Sighting], at: int, before: int) -> list[Walked]:
        """Take in a frame's sightings, captured at a time in ns; `before` is the frame before it.

        Returns:
            the pieces that became long enough.
        """
        walked: list[Walked] = []
        for person in sightings:
            if person.confirmed:
                self._confirmed.add(person.track)
            trace = self._traces.get(person.track)
            if trace is None:
                self._traces[person.track] = tracing.begin(at, person.box)
                continue
            missed = trace.last.at < before
            self._traces[person.track], piece = tracing.extend(trace, at, person.box, missed=missed)
            if piece is not None:
                walked.append(Walked(person.track, piece, final=False, confirmed=person.confirmed))
        return walked

    def forget(self, gone: Iterable[Gone]) -> list[Walked]:
        """Close the paths of tracks that ended."""
        walked: list[Walked] = []
        for person in gone:
            trace = self._traces.pop(person.track, None)
            self._confirmed.discard(person.track)
            if trace is not None:
                walked.append(Walked(person.track, tracing.finish(trace), final=True, confirmed=person.confirmed))
        return walked

    def resize(self, x: float, y: float) -> list[Walked]:
        """Go on in pixels of a frame `x` times as wide and `y` times as high: pieces in the old ones are closed."""
        walked: list[Walked] = []
        for track, trace in self._traces.items():
            walked.append(Walked(track, tracing.finish(trace), final=False, confirmed=track in self._confirmed))
            at, (x1, y1, x2, y2) = trace.last
            self._traces[track] = tracing.begin(at, (x1 * x, y1 * y, x2 * x, y2 * y), trace.part + 1)
        return walked

    def state(self) -> dict[int, Trace]:
        """Everything that the next sighting depends on, but for which tracks are confirmed."""
        return dict(self._traces)

    @classmethod
    def restore(cls, traces: dict[int, Trace], confirmed: Iterable[int]) -> Self:
        """Go on from a state."""
        recorder = cls()
        recorder._traces, recorder._confirmed = dict(traces), set(confirmed)
        return recorder
