"""Repair of frame times: growing times from a stream's own, without the faults of clocks and containers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from services.ingest.decimator import SECOND

LONGEST_JUMP = 10 * SECOND
"""A longer step ahead is a fault in streams whose clock may be set while they run."""
_DISORDER = SECOND
"""A step back by less is not that of a clock that was set: two frames have the same time, or are out of order."""


class TimeBase:
    """Converts a stream's times in whole numbers: PyAV's fractions cost 20 µs a frame, a tenth of a small picture.

    Args:
        unit: of the stream's times, seconds.
    """

    def __init__(self, unit: Fraction) -> None:
        self._nanoseconds, self._over = unit.numerator * SECOND, unit.denominator

    def nanoseconds(self, ticks: int) -> int:
        """Convert units to nanoseconds, rounding half to even, as `round` does."""
        whole, rest = divmod(ticks * self._nanoseconds, self._over)
        return whole + (2 * rest > self._over or (2 * rest == self._over and whole % 2))


@dataclass(slots=True)
class Repairs:
    """The number of faults in a stream's times that were repaired so far.

    Attributes:
        jumps: of the clock, back in time or ahead by more than ten seconds.
        missing: frames without a time, or with a time that is less than a second out of order.
    """

    jumps: int = 0
    missing: int = 0


class Timestamps:
    """Turns a stream's times into growing ones that begin at 0.

    Args:
        interval: nanoseconds between two frames, where nothing better is known.
        ignored: true where the stream's times are known to be broken: frames are then an interval apart.
        jumps_are_faults: true for running clocks, which may be set: after a step back, or one of more than ten seconds
            ahead, times continue at the interval. Containers that are written afterwards (MP4, Matroska) are taken at
            their word: a long step is a pause in the recording.
    """

    def __init__(self, interval: int, *, ignored: bool = False, jumps_are_faults: bool = False) -> None:
        self.repairs = Repairs()
        self._interval, self._ignored, self._jumps_are_faults = interval, ignored, jumps_are_faults
        self._offset: int | None = None
        self._raw: int | None = None
        self._last: int | None = None

    def next(self, raw: int | None) -> int:
        """Repair the time of the next frame; returns ns since the first one.

        Args:
            raw: the frame's time in the stream, ns; None where the stream gives none.
        """
        if not self._ignored and (raw is None or (self._raw is not None and 0 <= self._raw - raw < _DISORDER)):
            self.repairs.missing += 1
            raw = None
        self._last = self._time(None if self._ignored else raw)
        if raw is not None:
            self._raw = raw
        return self._last

    def _time(self, raw: int | None) -> int:
        if self._last is None:
            self._offset = raw
            return 0
        following = self._last + self._interval
        if raw is None:
            return following
        if self._offset is None:  # the first frames had no time
            self._offset = raw - following
        step = raw - self._offset - self._last
        back = self._raw is not None and raw < self._raw
        jump = back or (self._jumps_are_faults and step > LONGEST_JUMP)
        self.repairs.jumps += jump
        if step > 0 and not jump:
            return self._last + step
        # A step of 0 or less is no jump after frames without a time: the interval that they got was too long.
        if self._jumps_are_faults:
            self._offset = raw - following
        return following
