"""How often a camera's boxes are shown: no more than a person sees."""

from __future__ import annotations


class Pace:
    """Lets a bounded number of events per second and key through.

    An event may come up to half an interval early, as long as the average holds: of a camera that sends just at the
    limit, jitter would otherwise drop every second frame.
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._due: dict[str, float] = {}

    def allows(self, key: str, now: float) -> bool:
        """Whether an event of `key` may pass at `now`, seconds of a monotonic clock."""
        due = self._due.get(key, now)
        if now < due - self._interval / 2:
            return False
        self._due[key] = max(due, now - self._interval / 2) + self._interval
        return True
