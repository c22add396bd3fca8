"""Moments at which frames are shown that come in bursts: segments of HLS, and files that a web server sends at once."""

from __future__ import annotations

from services.ingest.decimator import SECOND

_HOLE = 4
"""Usual steps between two frames; a longer one, of more than a second, is a hole: what was there is lost."""
_LATEST = 10 * SECOND
"""Behind its moment by more, a frame begins anew: what was missed meanwhile is not made up for."""


class Playout:
    """Gives frames moments as far apart as they were recorded.

    A frame that comes too late, as the first of a segment may, is dated by its moment all the same; those behind it are
    shown twice as fast until they have caught up. A hole is not waited through: a source that leaves segments out does
    so because it is ahead of who reads it.

    Args:
        interval: nanoseconds between two frames, as the stream says.
    """

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._begin: int | None = None  # of the stream, on our clock
        self._last_stamp, self._shown = 0, 0

    def place(self, stamp: int, now: int) -> tuple[int, int]:
        """The moment that a frame is dated by, and the one from which on it is shown, which is never the earlier one.

        Args:
            stamp: time of the frame in its stream, growing, nanoseconds.
            now: moment at which it was read; both results are on this clock, nanoseconds.
        """
        step = stamp - self._last_stamp
        due = now if self._begin is None else self._begin + stamp
        ahead, hole = due > now, max(SECOND, _HOLE * self._interval)
        if (ahead and step > hole) or now - due > _LATEST:
            due, ahead = now, False
        self._begin = due - stamp
        self._shown = due if ahead else max(now, self._shown + min(step, self._interval) // 2)
        self._last_stamp = stamp
        return due, self._shown
