"""What NATS does not let a service do: told once in the log, and at /readyz for as long as it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.kit.logs import logger
from services.kit.nats.connection import NotPermitted

MEMORY = 60.0
"""Seconds for which a refusal is shown: whoever is refused tries again, and that far more often."""
MOST = 100
"""Refusals that are kept apart; a service that may do nothing at all is refused by the thousand."""

log = logger()


class Refusals:
    """The refusals of one connection.

    Args:
        user: to whom they are refused.
        clock: tells seconds.
    """

    def __init__(self, user: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._user, self._clock = user, clock
        self._last: dict[str, float] = {}

    def note(self, refusal: NotPermitted) -> None:
        """The server refuses something."""
        what, now = str(refusal), self._clock()
        if what not in self._last:
            if len(self._last) == MOST:
                self._last = {known: last for known, last in self._last.items() if last > now - MEMORY}
            if len(self._last) == MOST:
                return
            log.error("NATS does not permit this", user=self._user, refused=what)
        self._last[what] = now

    def forget(self) -> None:
        """Another connection: what it is refused is told anew."""
        self._last.clear()

    @property
    def present(self) -> tuple[str, ...]:
        """What is refused these days, such as `publish to metrica.live.counts.shop`."""
        since = self._clock() - MEMORY
        return tuple(what for what, last in self._last.items() if last > since)
