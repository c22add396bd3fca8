"""Playout of frames that arrive in bursts: segments of HLS, and files that a web server sends at once."""

from __future__ import annotations

from services.ingest.decimator import SECOND

_GAP = 4
"""Frame intervals; a longer step between two frames, if of more than a second, is a gap in the stream."""
_LATEST = 10 * SECOND
"""A frame that is later than this restarts the schedule; the time that was lost is not made up for."""


class Playout:
    """Schedules frames as far apart as they were recorded.

    A frame that comes too late, as the first one of a segment may, keeps the date of its schedule; the frames behind it
    are played out twice as fast until they have caught up. A gap in the stream is not waited for: a source that leaves
    segments out does so because it is ahead of its reader.

    Args:
        interval: nanoseconds between two frames, as the stream announces.
    """

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._begin: int | None = None  # the stream's time 0 on the local clock
        self._last_stamp, self._played = 0, 0

    def schedule(self, stamp: int, now: int) -> tuple[int, int]:
        """Schedule the next frame.

        Args:
            stamp: time of the frame in its stream, growing, ns.
            now: time at which it was read, ns of a monotonic clock.

        Returns:
            The frame's date, and the moment to play it out at, which is not before its date: ns of the same clock.
        """
        step = stamp - self._last_stamp
        due = now if self._begin is None else self._begin + stamp
        ahead, gap = due > now, max(SECOND, _GAP * self._interval)
        if (ahead and step > gap) or now - due > _LATEST:
            due, ahead = now, False
        self._begin = due - stamp
        self._played = due if ahead else max(now, self._played + min(step, self._interval) // 2)
        self._last_stamp = stamp
        return due, self._played
