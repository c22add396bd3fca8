"""Counts a camera's people over lines that were not there, from their stored paths alone.

The rule is the live one's (`watch`), which asks how people stand to one another. So the paths of a session are walked
together, from each moment at which one of them begins, bends, ends or is out of sight for a while to the next. Nothing
is decided in between: there everybody goes straight on, and on a straight way somebody is farthest beyond a line's band
at one of its ends.

Pure: paths in, in the order in which the tracker published them; crossings out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.events import Crossing, Path
from contracts.spec import CountingLine
from services.tracker.counting.line_counter import LineWatch, crossings_of
from services.tracker.tracking.kalman import Floats
from services.tracker.tracking.tracker import LOST_SECONDS, Gone, Sighting

Times = NDArray[np.int64]
"""ns UTC, rising."""

_MS: Final = 1_000_000
LATEST: Final = 60_000_000_000
"""A piece of a path is published when it is some ten seconds long, or a few after its track was seen last: once there
is one that ends so much later, in ns, all that begin before are there."""
WALK_EVERY: Final = 600_000_000_000
"""Paths are walked by so much at a time, ns."""


class Recount:
    """One camera, through all its sessions, one after another.

    Args:
        run: whose crossings these are to be.
        camera: whose paths they are.
        lines: to count over.
    """

    def __init__(self, run: str, camera: str, lines: Sequence[CountingLine]) -> None:
        self._run, self._camera, self._lines = run, camera, lines
        self._finished: set[str] = set()
        self._session: _Session | None = None

    def take(self, path: Path) -> list[Crossing]:
        """Take in the next path. Returns the crossings that have been decided by now; a path that comes again is none.

        The crossings' `seq` is the time of the moment that decided it, in ms UTC: paths do not know the frames.
        """
        if path.session in self._finished:
            return []
        found: list[Crossing] = []
        if self._session is None or path.session != self._session.name:
            found += self.finish()
            self._session = _Session(path.session, [LineWatch(line) for line in self._lines])
        session = self._session
        session.take(path)
        if session.due is not None:
            found += self._crossings(session, session.walk(session.due))
        return found

    def finish(self) -> list[Crossing]:
        """End the session: nothing more comes of it. Returns its last crossings."""
        session, self._session = self._session, None
        if session is None:
            return []
        self._finished.add(session.name)
        return self._crossings(session, session.walk(None))

    def _crossings(self, session: _Session, moments: Iterable[_Moment]) -> list[Crossing]:
        found: list[Crossing] = []
        for moment in moments:
            for watch in session.watches:
                decided = watch.see(moment.seen, moment.at, *moment.size)
                if moment.gone:
                    decided += watch.forget(moment.gone)
                if not decided:
                    continue  # as at nearly all
                found += crossings_of(
                    watch.line,
                    decided,
                    run=self._run,
                    store=session.store,
                    camera=self._camera,
                    session=session.name,
                    seq=moment.seq,
                    spec_revision=session.spec_revision,
                )
        return found


@dataclass(slots=True)
class _Moment:
    """Who is seen at a time, where, and whose track has ended by then."""

    seq: int
    at: int
    seen: list[Sighting] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    size: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class _Leg:
    """A piece of a path.

    Attributes:
        size: of the frames, pixels.
        times: (N,) of its points.
        boxes: (N, 4) theirs.
        gaps: (M, 2) from one sighting to the next, with frames in between that did not show the track.
    """

    track: int
    confirmed: bool
    final: bool
    size: tuple[int, int]
    times: Times
    boxes: Floats
    gaps: Times

    @classmethod
    def of(cls, path: Path) -> _Leg:
        """A path event's."""
        return cls(
            track=path.track,
            confirmed=path.confirmed,
            final=path.final,
            size=(path.width, path.height),
            times=path.at + _MS * np.array([point.t for point in path.points], np.int64),
            boxes=np.array([point.box for point in path.points], np.float64).reshape(-1, 4),
            gaps=path.at + _MS * np.array(path.gaps, np.int64).reshape(-1, 2),
        )

    @property
    def start(self) -> int:
        """When it begins."""
        return int(self.times[0])

    @property
    def end(self) -> int:
        """When it ends."""
        return int(self.times[-1])

    @property
    def last(self) -> int:
        """When it is done with: where the track ends, that is when it is given up."""
        return self.end + round(LOST_SECONDS * 1e9) if self.final else self.end

    def sightings(self, at: Times) -> tuple[Times, Floats]:
        """At which of these moments the track is seen, as indices, and its boxes then.

        The last point of a piece is the first of the next one, unless there is none.
        """
        first, last = np.searchsorted(at, [self.start, self.end + _MS if self.final else self.end])
        span = np.arange(first, last)
        for lost, found in self.gaps:
            span = span[(at[span] < lost + _MS) | (at[span] >= found)]
        # A point's time is cut to a ms; the moment's is the frame's.
        times = at[np.minimum(np.searchsorted(at, self.times), len(at) - 1)]
        times = np.where(abs(times - self.times) < _MS, times, self.times) - self.start
        return span, np.stack([np.interp(at[span] - self.start, times, edge) for edge in self.boxes.T], axis=1)


class _Session:
    """The paths of a session that are not walked to their end, and how its people stand to the lines."""

    def __init__(self, name: str, watches: Sequence[LineWatch]) -> None:
        self.name, self.watches = name, watches
        self.store, self.spec_revision = "", 1
        self._legs: dict[tuple[int, int], _Leg] = {}
        self._open: dict[int, Gone] = {}
        """Tracks that have been walked to the end of what there is of them, and have not ended."""
        self._newest = self._walked_to = 0
        self._due: int | None = None

    @property
    def due(self) -> int | None:
        """The time up to which it is worth while to walk, and nothing is missing; None where there is none."""
        known = self._newest - LATEST
        return known if self._due is not None and known >= self._due else None

    def take(self, path: Path) -> None:
        """Take in a path, unless it has been there before."""
        leg, place = _Leg.of(path), (path.track, path.part)
        if place in self._legs or leg.start <= self._walked_to:
            return
        self._legs[place] = leg
        self.store, self.spec_revision = path.store, path.spec_revision
        self._newest = max(self._newest, leg.end)
        if self._due is None:
            self._due = leg.start + WALK_EVERY

    def walk(self, until: int | None = None) -> list[_Moment]:
        """The moments up to a time, ns, or to the session's end."""
        at, seqs = self._times(until)
        moments = [_Moment(seq, time) for seq, time in zip(seqs.tolist(), at.tolist(), strict=True)]
        if moments:
            self._walked_to = moments[-1].at
        if until is not None:
            self._due = until + WALK_EVERY
        for place, leg in sorted(self._legs.items()) if moments else ():
            span, boxes = leg.sightings(at)
            for number, box in zip(span.tolist(), boxes.tolist(), strict=True):
                moments[number].size = leg.size
                moments[number].seen.append(Sighting(leg.track, tuple(box), 1.0, leg.confirmed))
            self._open[leg.track] = Gone(leg.track, leg.confirmed)
            if leg.last <= self._walked_to:
                del self._legs[place]
                if leg.final:
                    moments[int(np.searchsorted(at, leg.last))].gone.append(self._open.pop(leg.track))
        if until is None and self._open:  # their ends are lost
            end = self._walked_to + _MS
            moments.append(_Moment(end // _MS, end, gone=list(self._open.values())))
        return moments

    def _times(self, until: int | None) -> tuple[Times, Times]:
        """When there is something to look at: the times of frames, and what they are called."""
        parts = [part for leg in self._legs.values() for part in (leg.times, leg.gaps.ravel(), [leg.last])]
        known = np.unique(np.concatenate([np.empty(0, np.int64), *parts]))
        known = known[known > self._walked_to]
        # Times are cut to a ms after each path's own beginning: those of one frame lie less than that apart.
        firsts = np.flatnonzero(np.diff(known, prepend=-_MS) >= _MS)
        lasts = np.append(firsts[1:], len(known))[: len(firsts)] - 1
        whole = known[lasts] < (until or np.iinfo(np.int64).max)
        return known[lasts][whole], known[firsts][whole] // _MS
