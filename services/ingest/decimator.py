"""Decimation: drops frames of a source that is faster than the target rate, by their times alone."""

from __future__ import annotations

from fractions import Fraction

SECOND = 1_000_000_000


class Decimator:
    """Thins a stream of frames to a target rate.

    Frames are due at even steps from the first one. A frame is kept from a quarter of a step before the next step is
    due, so that a camera of exactly the target rate loses none of the frames that arrive a little early. After a gap of
    a step or more the steps start again from the frame that ends it; missed frames are not made up for. The choice
    depends on the times alone.

    Args:
        fps: target rate, frames per second; None keeps every frame.
    """

    def __init__(self, fps: float | None) -> None:
        self._step = SECOND / Fraction(fps) if fps is not None else None
        self._first: int | None = None
        self._steps = 0

    def keeps(self, pts_ns: int) -> bool:
        """Tell whether to keep the frame at this time. Call it once per frame, in order."""
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
