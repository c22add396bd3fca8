"""Which frames are kept when a source is faster than wanted: chosen by their time alone, live and from files alike."""

from __future__ import annotations

from fractions import Fraction

SECOND = 1_000_000_000


class Decimator:
    """Thins a stream of frames to a target rate.

    Frames fall due at even steps from the first one; a frame is kept when the next step is due, or all but due, so that
    a camera of just the target rate whose frames arrive a little early loses none. After a gap in the stream the steps
    start anew: what was missed is not made up for. The choice depends on the times seen and on nothing else.
    """

    def __init__(self, fps: float | None) -> None:
        self._step = SECOND / Fraction(fps) if fps is not None else None
        self._first: int | None = None
        self._steps = 0

    def keeps(self, pts_ns: int) -> bool:
        """Whether the frame at this time is kept. Call it once per frame, in order."""
        if self._step is None:
            return True
        if self._first is None:
            self._first, self._steps = pts_ns, 1
            return True
        behind = pts_ns - (self._first + self._steps * self._step)
        if behind < -self._step / 4:
            return False
        if behind >= self._step:
            self._first, self._steps = pts_ns, 1
        else:
            self._steps += 1
        return True
