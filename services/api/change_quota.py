"""Limits the changes of a principal: a runaway program, or a flood of the audit log, has to wait."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from services.api.access.principal import Principal
from services.api.clock import Clock
from services.api.http.problems import TooMany
from services.api.quotas import holder

WINDOW = timedelta(minutes=10)
REMEMBERED = 10_000
"""Principals; beyond this number, principals without a change in the last `WINDOW` are dropped."""


class ChangeQuota:
    """Recent changes of each principal in this process: each replica counts for itself.

    Args:
        most: changes of one principal in `WINDOW`, refused ones included.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self._most, self._clock = most, clock
        self._made: dict[str, deque[datetime]] = {}

    def count(self, principal: Principal) -> None:
        """Count a change.

        Raises:
            TooMany: the principal has made `most` changes in `WINDOW`.
        """
        now, name = self._clock(), holder(principal)
        if len(self._made) >= REMEMBERED and name not in self._made:
            self._made = {other: made for other, made in self._made.items() if made[-1] > now - WINDOW}
        made = self._made.setdefault(name, deque())
        while made and made[0] <= now - WINDOW:
            made.popleft()
        if len(made) >= self._most:
            left = int((made[0] + WINDOW - now).total_seconds()) + 1
            minutes = int(WINDOW.total_seconds()) // 60
            raise TooMany(
                "You made {changes} changes within {minutes} minutes, the most that one may (METRICA_MAX_CHANGES).",
                retry_after=left,
                code="too-many-changes",
                changes=len(made),
                minutes=minutes,
            )
        made.append(now)
