"""Replay windows: the selection and renaming of one camera's stored messages for a run. Pure.

    stored   … 97  98  99 │ 100  101  103  102  … │ 900 901 903 902 … │ 1100 1101 1099 … │ 1300 …
                          │ previous = None,      │                   │                  │ replaced by
                  dropped │ not counted           │      counted      │ not counted      │ an end
                        begin                   since               until          AFTER later

Messages keep session, seq and time, and so their crossings keep their ids. A session that is cut at its beginning
starts with its first message in the window; one that is cut at its end gets an end there, to close its count.
Messages before the period let the tracker find the people in view; those after it show that no late one is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts.events import Detections
from contracts.frames import EndReason, FrameHeader
from contracts.identity import Policy
from contracts.runs import Run, Stretch

AFTER = 20_000_000_000
"""Nanoseconds after the period in which detections are included: none is later, by the detector's timeouts."""
REORDERED = 64
"""Greatest displacement by detectors, which answer out of order: a session that starts at a higher seq was cut."""


@dataclass(slots=True)
class _SessionWindow:
    """The part of a session that a run includes, and the part of that which counts."""

    name: str
    first: int
    """Messages with a lower seq are left out."""
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
    """The sessions of one camera in a run, in order of arrival."""

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self.by_name: dict[str, _SessionWindow] = {}

    @property
    def newest(self) -> _SessionWindow | None:
        return next(reversed(self.by_name.values()), None)

    def stretches(self) -> list[Stretch]:
        """Return the counted parts. A session that is followed by another one ends one behind its last frame."""
        return [
            Stretch(
                camera=self._camera,
                session=part.name,
                first=part.counted_first,
                last=part.counted_last
                + (part is not self.newest and not part.ended and part.last == part.counted_last),
            )
            for part in self.by_name.values()
            if part.counted_first is not None
        ]


class DetectionsWindow:
    """Selects one camera's detections for a run. They must be given in stream order.

    Args:
        run: the run, with its period.
        camera: id of the camera.
        begin: time of the first included detections, ns UTC: earlier than the run's `since`, so that the tracker has
            found the people in view by then.
    """

    def __init__(self, run: Run, camera: str, begin: int) -> None:
        self._run, self._begin, self._until = run, begin, run.until
        self._sessions = _Sessions(camera)
        self._before: set[str] = set()
        self._taken_at = 0
        self._newest: Detections | None = None

    @property
    def sessions(self) -> list[str]:
        """Names of the included sessions."""
        return list(self._sessions.by_name)

    @property
    def covered(self) -> list[Stretch]:
        """The counted frames."""
        return self._sessions.stretches()

    def take(self, event: Detections) -> Detections | None:
        """Return the event for the run; None if it is outside of the window."""
        if event.captured_at < self._begin:
            self._before.add(event.session)
            return None
        if self.is_behind(event):
            return None
        session = self._sessions.by_name.get(event.session)
        changes: dict[str, object] = {"run": self._run.name}
        if session is None:
            cut = event.session in self._before or (not self._sessions.by_name and event.seq > REORDERED)
            if cut and self._sessions.by_name and event.policy is Policy.LATEST:
                return None  # a late message of the previous session
            session = _SessionWindow(event.session, event.seq if cut else 0, event.seq)
            self._sessions.by_name[event.session] = session
            if cut:
                changes["previous"] = None
        elif event.seq < session.first:
            return None
        counts = self._run.since <= event.captured_at < self._until
        session.add(event.seq, counts=counts, end=event.end is not None)
        self._taken_at = max(self._taken_at, event.captured_at)
        taken = event.model_copy(update=changes)
        if session is self._sessions.newest and event.seq == session.last:
            self._newest = taken
        return taken

    def stop(self) -> None:
        """End the period with the messages that were included so far."""
        self._until = min(self._until, self._taken_at + 1)

    def is_behind(self, event: Detections) -> bool:
        """Tell if an event is behind the window."""
        return event.captured_at >= self._until + AFTER

    def end(self) -> Detections | None:
        """Make the end of a session that was cut; None if there is none. It decides no crossing that counts."""
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


class FramesWindow:
    """Selects one camera's frames for a run. They must be given in the order of their sessions; gaps are closed."""

    def __init__(self, run: Run, camera: str, begin: int) -> None:
        """See `DetectionsWindow`."""
        self._run, self._begin = run, begin
        self._sessions = _Sessions(camera)
        self._last: FrameHeader | None = None

    @property
    def sessions(self) -> list[str]:
        """Names of the included sessions."""
        return list(self._sessions.by_name)

    @property
    def covered(self) -> list[Stretch]:
        """The counted frames."""
        return self._sessions.stretches()

    def take(self, header: FrameHeader) -> list[FrameHeader]:
        """Return the frame for the run, after the end of the previous session if that lacks its own; else nothing."""
        if not self._begin <= header.captured_at < self._run.until:
            return []
        session, taken = self._sessions.by_name.get(header.session), []
        if session is None:
            if self._last is not None and self._last.end is None:
                taken.append(self._closing(self._last, self._last.captured_at, EndReason.LOST))
            session = self._sessions.by_name[header.session] = _SessionWindow(header.session, header.seq, header.seq)
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
        """Make the end of a session that was cut; None if there is none. It decides no crossing that counts."""
        if self._last is None or self._last.end is not None:
            return None
        return self._closing(self._last, self._run.until, EndReason.STOPPED)

    def _closing(self, last: FrameHeader, captured_at: int, reason: EndReason) -> FrameHeader:
        return last.model_copy(
            update={"seq": last.seq + 1, "previous": last.seq, "captured_at": captured_at, "end": reason}
        )
