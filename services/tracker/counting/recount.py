"""Recount: counts a camera's people over other lines, from their stored paths alone.

The rule is the live one's (`line_counter`), which depends on the distances between people. So the paths of a session
are walked together, from each instant at which one of them begins, bends, ends or has a gap to the next. Nothing can be
decided in between: there all people go straight on, and a straight way is farthest beyond a line's band at one of its
ends.

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
from services.tracker.counting.line_counter import LineCounter, crossings_of
from services.tracker.tracking.kalman import Floats
from services.tracker.tracking.tracker import LOST_SECONDS, EndedTrack, Sighting

Times = NDArray[np.int64]
"""ns UTC, rising."""

_MS: Final = 1_000_000
LATEST: Final = 60_000_000_000
"""A piece of a path is published when it is some ten seconds long, or some seconds after its track was last seen. So
once a piece has come that ends so many ns after a time, all pieces that begin before that time have come."""
WALK_EVERY: Final = 600_000_000_000
"""Length of time, ns, for which paths are walked in one go."""


class Recount:
    """Recount of one camera, through all its sessions, one after another.

    Args:
        run: of the crossings.
        camera: of the paths.
        lines: to count over.
    """

    def __init__(self, run: str, camera: str, lines: Sequence[CountingLine]) -> None:
        self._run, self._camera, self._lines = run, camera, lines
        self._finished: set[str] = set()
        self._session: _SessionPaths | None = None

    def take(self, path: Path) -> list[Crossing]:
        """Take in the next path; a repeated one is ignored. Returns the crossings that are decided by now.

        A crossing's `seq` is the instant that decided it, in ms UTC, as paths have no frame numbers.
        """
        if path.session in self._finished:
            return []
        crossings: list[Crossing] = []
        if self._session is None or path.session != self._session.name:
            crossings += self.finish()
            self._session = _SessionPaths(path.session, [LineCounter(line) for line in self._lines])
        session = self._session
        session.take(path)
        if session.due is not None:
            crossings += self._crossings(session, session.walk(session.due))
        return crossings

    def finish(self) -> list[Crossing]:
        """End the session, as it has no more paths. Returns its last crossings."""
        session, self._session = self._session, None
        if session is None:
            return []
        self._finished.add(session.name)
        return self._crossings(session, session.walk(None))

    def _crossings(self, session: _SessionPaths, instants: Iterable[_Instant]) -> list[Crossing]:
        crossings: list[Crossing] = []
        for instant in instants:
            for counter in session.counters:
                decided = counter.see(instant.seen, instant.at, *instant.size)
                if instant.ended:
                    decided += counter.forget(instant.ended)
                if not decided:
                    continue  # as at nearly every instant
                crossings += crossings_of(
                    counter.line,
                    decided,
                    run=self._run,
                    store=session.store,
                    camera=self._camera,
                    session=session.name,
                    seq=instant.seq,
                    spec_revision=session.spec_revision,
                )
        return crossings


@dataclass(slots=True)
class _Instant:
    """The tracks that are seen at a time, and the tracks that have ended by then."""

    seq: int
    at: int
    seen: list[Sighting] = field(default_factory=list)
    ended: list[EndedTrack] = field(default_factory=list)
    size: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class _PathSegment:
    """A piece of a path.

    Attributes:
        size: of the frames, pixels.
        times: (N,) of its points.
        boxes: (N, 4) of its points.
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
    def of(cls, path: Path) -> _PathSegment:
        """The piece of a path event."""
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
        """Time of its first point."""
        return int(self.times[0])

    @property
    def end(self) -> int:
        """Time of its last point."""
        return int(self.times[-1])

    @property
    def last(self) -> int:
        """Time after which it is not needed: for the last piece of a track, when the tracker ended the track."""
        return self.end + round(LOST_SECONDS * 1e9) if self.final else self.end

    def sightings(self, at: Times) -> tuple[Times, Floats]:
        """Indices of the instants `at` at which the track is seen, and its boxes then.

        The last point of a piece belongs to the next piece, if there is one.
        """
        first, last = np.searchsorted(at, [self.start, self.end + _MS if self.final else self.end])
        span = np.arange(first, last)
        for lost, found in self.gaps:
            span = span[(at[span] < lost + _MS) | (at[span] >= found)]
        # A point's time is truncated to a ms; the instant's is the frame's.
        times = at[np.minimum(np.searchsorted(at, self.times), len(at) - 1)]
        times = np.where(abs(times - self.times) < _MS, times, self.times) - self.start
        return span, np.stack([np.interp(at[span] - self.start, times, edge) for edge in self.boxes.T], axis=1)


class _SessionPaths:
    """The paths of a session that are not walked to their end, and the counters of its lines."""

    def __init__(self, name: str, counters: Sequence[LineCounter]) -> None:
        self.name, self.counters = name, counters
        self.store, self.spec_revision = "", 1
        self._segments: dict[tuple[int, int], _PathSegment] = {}
        self._open: dict[int, EndedTrack] = {}
        """Tracks that have not ended, and have been walked as far as their pieces go."""
        self._newest = self._walked_to = 0
        self._due: int | None = None

    @property
    def due(self) -> int | None:
        """The time up to which to walk now, as all pieces until then have come; None while it is too early."""
        known = self._newest - LATEST
        return known if self._due is not None and known >= self._due else None

    def take(self, path: Path) -> None:
        """Take in a path, unless it is a repeated one."""
        segment, key = _PathSegment.of(path), (path.track, path.part)
        if key in self._segments or segment.start <= self._walked_to:
            return
        self._segments[key] = segment
        self.store, self.spec_revision = path.store, path.spec_revision
        self._newest = max(self._newest, segment.end)
        if self._due is None:
            self._due = segment.start + WALK_EVERY

    def walk(self, until: int | None = None) -> list[_Instant]:
        """The instants up to a time, ns, or to the session's end."""
        at, seqs = self._times(until)
        instants = [_Instant(seq, time) for seq, time in zip(seqs.tolist(), at.tolist(), strict=True)]
        if instants:
            self._walked_to = instants[-1].at
        if until is not None:
            self._due = until + WALK_EVERY
        for key, segment in sorted(self._segments.items()) if instants else ():
            span, boxes = segment.sightings(at)
            for number, box in zip(span.tolist(), boxes.tolist(), strict=True):
                instants[number].size = segment.size
                instants[number].seen.append(Sighting(segment.track, tuple(box), 1.0, segment.confirmed))
            self._open[segment.track] = EndedTrack(segment.track, segment.confirmed)
            if segment.last <= self._walked_to:
                del self._segments[key]
                if segment.final:
                    instants[int(np.searchsorted(at, segment.last))].ended.append(self._open.pop(segment.track))
        if until is None and self._open:  # the ends of these tracks are lost
            end = self._walked_to + _MS
            instants.append(_Instant(end // _MS, end, ended=list(self._open.values())))
        return instants

    def _times(self, until: int | None) -> tuple[Times, Times]:
        """Times of the instants, ns, and their `seq`, ms."""
        parts = [part for each in self._segments.values() for part in (each.times, each.gaps.ravel(), [each.last])]
        known = np.unique(np.concatenate([np.empty(0, np.int64), *parts]))
        known = known[known > self._walked_to]
        # Times are truncated to a ms after each path's own beginning: the times of one frame differ by less than that.
        firsts = np.flatnonzero(np.diff(known, prepend=-_MS) >= _MS)
        lasts = np.append(firsts[1:], len(known))[: len(firsts)] - 1
        whole = known[lasts] < (until or np.iinfo(np.int64).max)
        return known[lasts][whole], known[firsts][whole] // _MS
