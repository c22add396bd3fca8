"""Limits the rate of a camera's tracks in live streams."""

from __future__ import annotations


class Throttle:
    """Limits events per second, by key.

    An event may be up to half an interval early, as long as the average holds: otherwise jitter would drop every second
    frame of a camera that sends at the limit.
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._due: dict[str, float] = {}

    def allows(self, key: str, now: float) -> bool:
        """Tell whether an event of `key` may pass at `now`, seconds of a monotonic clock."""
        due = self._due.get(key, now)
        if now < due - self._interval / 2:
            return False
        self._due[key] = max(due, now - self._interval / 2) + self._interval
        return True
