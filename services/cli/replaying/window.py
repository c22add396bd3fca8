"""What of a camera's past a run takes in, and under which names. Pure.

    stored   … 97  98  99 │ 100  101  103  102  … │ 900 901 903 902 … │ 1100 1101 1099 … │ 1300 …
                          │ its predecessor       │                   │                  │ an end in
                  dropped │ is taken for none     │      counted      │                  │ its place
                        begin                   since               until          AFTER later

All keeps its session, its seq and its time, and so its crossings' ids. A session that is cut off at its beginning
starts with the first that is taken in; one that is cut off at its end is ended there, so that its count is closed.
What comes before lets the tracker find who is there; what comes after shows which late one was not waited for.
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts.events import Detections
from contracts.frames import EndReason, FrameHeader
from contracts.identity import Policy
from contracts.runs import Run, Stretch

AFTER = 20_000_000_000
"""Nanoseconds that detections are taken in behind the period: later than that none comes, see the detector's waits."""
REORDERED = 64
"""Detectors answer out of order, but not so far: a session that is first met beyond this seq began before."""


@dataclass(slots=True)
class _Session:
    """What a run has taken in of a session, and of that what counts."""

    name: str
    first: int
    """Lower ones are not taken in."""
    last: int
    ended: bool = False
    counted_first: int | None = None
    counted_last: int = 0

    def add(self, seq: int, *, counts: bool, end: bool) -> None:
        self.last = max(self.last, seq)
        self.ended = self.ended or end
        if counts:
            self.counted_first = seq if self.counted_first is None else min(self.counted_first, seq)
            self.counted_last = max(self.counted_last, seq)


class _Sessions:
    """The sessions of one camera in a run, in the order in which they came."""

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self.by_name: dict[str, _Session] = {}

    @property
    def newest(self) -> _Session | None:
        return next(reversed(self.by_name.values()), None)

    def stretches(self) -> list[Stretch]:
        """What counted. A session that another one followed was ended by that, one behind its last frame."""
        return [
            Stretch(
                camera=self._camera,
                session=one.name,
                first=one.counted_first,
                last=one.counted_last + (one is not self.newest and not one.ended and one.last == one.counted_last),
            )
            for one in self.by_name.values()
            if one.counted_first is not None
        ]


class DetectionsExcerpt:
    """One camera's detections for a run, given in the order of their stream.

    Args:
        run: whose period it is.
        camera: whose detections they are.
        begin: taken in from this time on, ns UTC: earlier than the run's `since`, so that people who are there by then
            have been found.
    """

    def __init__(self, run: Run, camera: str, begin: int) -> None:
        self._run, self._begin, self._until = run, begin, run.until
        self._sessions = _Sessions(camera)
        self._before: set[str] = set()
        self._taken_at = 0
        self._newest: Detections | None = None

    @property
    def sessions(self) -> list[str]:
        """Those that it has taken in."""
        return list(self._sessions.by_name)

    @property
    def covered(self) -> list[Stretch]:
        """What counts of that."""
        return self._sessions.stretches()

    def take(self, event: Detections) -> Detections | None:
        """The event as it is in the run; None where it is not in it."""
        if event.captured_at < self._begin:
            self._before.add(event.session)
            return None
        if self.is_behind(event):
            return None
        session = self._sessions.by_name.get(event.session)
        changed: dict[str, object] = {"run": self._run.name}
        if session is None:
            cut = event.session in self._before or (not self._sessions.by_name and event.seq > REORDERED)
            if cut and self._sessions.by_name and event.policy is Policy.LATEST:
                return None  # a late one of the session before
            session = _Session(event.session, event.seq if cut else 0, event.seq)
            self._sessions.by_name[event.session] = session
            if cut:
                changed["previous"] = None
        elif event.seq < session.first:
            return None
        counts = self._run.since <= event.captured_at < self._until
        session.add(event.seq, counts=counts, end=event.end is not None)
        self._taken_at = max(self._taken_at, event.captured_at)
        taken = event.model_copy(update=changed)
        if session is self._sessions.newest and event.seq == session.last:
            self._newest = taken
        return taken

    def stop(self) -> None:
        """Let the period end with what was taken in by now."""
        self._until = min(self._until, self._taken_at + 1)

    def is_behind(self, event: Detections) -> bool:
        """Whether an event was captured too late for it to matter."""
        return event.captured_at >= self._until + AFTER

    def end(self) -> Detections | None:
        """The end of what was cut off; None where nothing was. It decides no crossing that counts."""
        session, newest = self._sessions.newest, self._newest
        if session is None or newest is None or session.ended:
            return None
        return newest.model_copy(
            update={
                "seq": session.last + 1,
                "previous": session.last,
                "captured_at": max(newest.captured_at, self._run.until),
                "end": EndReason.STOPPED,
                "boxes": (),
                "scores": (),
                "skipped": None,
            }
        )


class FramesExcerpt:
    """One camera's frames for a run, given in the order of their sessions. None of them is dropped on the way."""

    def __init__(self, run: Run, camera: str, begin: int) -> None:
        """See `DetectionsExcerpt`."""
        self._run, self._begin = run, begin
        self._sessions = _Sessions(camera)
        self._last: FrameHeader | None = None

    @property
    def sessions(self) -> list[str]:
        """Those that it has taken in."""
        return list(self._sessions.by_name)

    @property
    def covered(self) -> list[Stretch]:
        """What counts of that."""
        return self._sessions.stretches()

    def take(self, header: FrameHeader) -> list[FrameHeader]:
        """The frame as it is in the run, behind the end of a session that lacks its own; none where it is not in it."""
        if not self._begin <= header.captured_at < self._run.until:
            return []
        session, taken = self._sessions.by_name.get(header.session), []
        if session is None:
            if self._last is not None and self._last.end is None:
                taken.append(self._closing(self._last, self._last.captured_at, EndReason.LOST))
            session = self._sessions.by_name[header.session] = _Session(header.session, header.seq, header.seq)
            previous = None
        elif session.ended or self._last is None or header.session != self._last.session:
            return []
        elif header.seq <= session.last:
            return []  # it was stored twice
        else:
            previous = session.last
        session.add(header.seq, counts=self._run.counts(header.captured_at), end=header.end is not None)
        self._last = header.model_copy(
            update={"run": self._run.name, "policy": Policy.EVERY, "previous": previous, "traceparent": ""}
        )
        return [*taken, self._last]

    def end(self) -> FrameHeader | None:
        """The end of what was cut off; None where nothing was. It decides no crossing that counts."""
        if self._last is None or self._last.end is not None:
            return None
        return self._closing(self._last, self._run.until, EndReason.STOPPED)

    def _closing(self, last: FrameHeader, captured_at: int, reason: EndReason) -> FrameHeader:
        return last.model_copy(
            update={"seq": last.seq + 1, "previous": last.seq, "captured_at": captured_at, "end": reason}
        )
