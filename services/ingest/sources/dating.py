"""Dates of frames that a camera sends as it takes them: when they came, and how far apart they were taken."""

from __future__ import annotations

import time

from services.ingest.decimator import SECOND

_WINDOW = 2 * SECOND
"""Time for which the quickest frame is looked for, and after which it is compared with that of the time before."""
_STRAY = SECOND * 2 // 5
"""A stream's clock that strays from ours by more in a window is not followed in the next one."""
_TOLERATED = SECOND
"""Frames that come later than this are dated by their arrival: LiveCamera takes them for what waited in a buffer."""


class Dating:
    """Dates frames by their arrival, less the time by which each was later on its way than the quickest one.

    Networks deliver in clumps, above all by radio. So dated, frames keep their true distance, and none of them seems to
    have waited in a buffer. Whatever the stream's clock does, a date is never after the arrival, and at most a second
    before it.
    """

    def __init__(self) -> None:
        self._followed = False
        self._since: int | None = None  # arrival of the window's first frame
        self._least = 0  # arrival less stamp, of the quickest frame of this window
        self._least_before: int | None = None  # and of the one before
        self._last = 0

    def date(self, stamp: int | None, arrival: int) -> int:
        """The moment to date a frame by, never before that of the frame before.

        Args:
            stamp: time of the frame in its stream, growing, nanoseconds; None where it says nothing.
            arrival: nanoseconds of our clock, as the result.
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
    """Dates of a live session: the wall clock as it was at its start, and monotonic time since.

    A wall clock that is set later on bends nothing.
    """

    def __init__(self) -> None:
        self._ahead = time.time_ns() - time.monotonic_ns()
        self._begin: int | None = None

    def date(self, pts_ns: int) -> int:
        """The date of a frame that was just grabbed, ns UTC: never a coming one.

        Args:
            pts_ns: the frame's, growing from frame to frame.
        """
        begin = time.monotonic_ns() + self._ahead - pts_ns
        self._begin = begin if self._begin is None else min(self._begin, begin)
        return self._begin + pts_ns
