"""Dating of live frames: by their arrival, with the delays of the network taken out."""

from __future__ import annotations

import time

from services.ingest.decimator import SECOND

_WINDOW = 2 * SECOND
"""Window in which the quickest frame is looked for; it is compared with the quickest one of the window before."""
_STRAY = SECOND * 2 // 5
"""A stream's clock that strays from the local one by more than this in a window is not followed in the next one."""
_TOLERATED = SECOND
"""Frames that come later than this are dated by their arrival: LiveCamera treats them as a buffered burst."""


class Dating:
    """Dates frames by their arrival, less the time by which each was slower on its way than the quickest one.

    Networks, above all wireless ones, deliver frames in clumps. Dated in this way, frames keep their true distances,
    and do not look like a burst from a buffer. Whatever the stream's clock does, a date is never after the arrival, and
    at most a second before it.
    """

    def __init__(self) -> None:
        self._followed = False
        self._since: int | None = None  # arrival of the window's first frame
        self._least = 0  # arrival less stamp, of the quickest frame of this window
        self._least_before: int | None = None  # and of the one before
        self._last = 0

    def date(self, stamp: int | None, arrival: int) -> int:
        """Date a frame; dates never decrease.

        Args:
            stamp: time of the frame in its stream, growing, ns; None where the stream gives none.
            arrival: ns of the local monotonic clock.

        Returns:
            The date, ns of the same clock as `arrival`.
        """
        late = 0 if stamp is None else self._late(arrival - stamp, arrival)
        self._last = max(self._last, arrival - late if self._followed and late <= _TOLERATED else arrival)
        return self._last

    def _late(self, delay: int, arrival: int) -> int:
        if self._since is None:
            self._since, self._least = arrival, delay
        if arrival - self._since >= _WINDOW:
            before, self._least_before = self._least_before, self._least
            self._followed = before is not None and abs(self._least - before) < _STRAY
            self._since, self._least = arrival, delay
        self._least = min(self._least, delay)
        return delay - min(self._least, self._least if self._least_before is None else self._least_before)


class WallClock:
    """Dates of a live session, UTC: the wall clock at its start, plus monotonic time since.

    Setting the wall clock during the session has no effect on them.
    """

    def __init__(self) -> None:
        self._ahead = time.time_ns() - time.monotonic_ns()
        self._begin: int | None = None

    def date(self, pts_ns: int) -> int:
        """Date a frame that was just grabbed, ns UTC, never in the future.

        Args:
            pts_ns: the frame's time in its source, growing from frame to frame.
        """
        begin = time.monotonic_ns() + self._ahead - pts_ns
        self._begin = begin if self._begin is None else min(self._begin, begin)
        return self._begin + pts_ns
