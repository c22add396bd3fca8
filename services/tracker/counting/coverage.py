"""The times in which a camera was counted, from the times of its frames. Pure.

An interval grows from frame to frame, and ends with a gap, a step back of the camera's clock, or other lines. It is
reported soon after its begin, about each minute, and at its end; what is reported again only has a later end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel, ConfigDict

SECOND: Final = 1_000_000_000
MAX_GAP: Final = 10 * SECOND
"""Longest time between two analysed frames, in ns, in which nobody is taken to have crossed unseen."""
FIRST_REPORT: Final = SECOND
REPORT_EVERY: Final = 60 * SECOND


class OpenInterval(BaseModel):
    """An interval that still grows. Times in ns UTC.

    Attributes:
        session: of the frames.
        lines: ids of the lines that are counted in it, in order.
        start, until: captured_at of its first and its last frame.
        reported: the `until` of its last report; `start` before the first.
    """

    model_config = ConfigDict(frozen=True)

    session: str
    lines: tuple[str, ...]
    start: int
    until: int
    reported: int

    @property
    def is_due(self) -> bool:
        """Tell whether its growth is to be reported now."""
        if self.reported == self.start:
            return self.until - self.start >= FIRST_REPORT
        return self.until - self.reported >= REPORT_EVERY


def extend(
    interval: OpenInterval | None, session: str, lines: Iterable[str], at: int
) -> tuple[OpenInterval | None, tuple[OpenInterval, ...]]:
    """Extend an interval to an analysed frame, or begin another.

    Args:
        interval: the camera's present one.
        session: of the frame.
        lines: ids of the lines that are counted; without any, nothing is covered.
        at: captured_at of the frame, ns UTC.

    Returns:
        The interval that now grows, and those to report.
    """
    names = tuple(sorted(lines))
    if (
        interval is not None
        and (interval.session, interval.lines) == (session, names)
        and 0 <= at - interval.until <= MAX_GAP
    ):
        grown = interval.model_copy(update={"until": at})
        if not grown.is_due:
            return grown, ()
        grown = grown.model_copy(update={"reported": at})
        return grown, (grown,)
    fresh = OpenInterval(session=session, lines=names, start=at, until=at, reported=at) if names else None
    return fresh, close(interval)


def close(interval: OpenInterval | None) -> tuple[OpenInterval, ...]:
    """End an interval; returns it if it has grown since its last report."""
    return (interval,) if interval is not None and interval.until > interval.reported else ()
