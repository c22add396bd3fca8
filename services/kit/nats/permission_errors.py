"""Operations that NATS refuses a service: logged once each, and shown at /readyz for as long as they go on."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.kit.logs import logger
from services.kit.nats.connection import NotPermitted

MEMORY = 60.0
"""Seconds for which a refusal is shown. A refused operation is retried far more often, so a silent one has ended."""
MOST = 100
"""Refusals that are kept; a service without any permission is refused thousands of operations."""

log = logger()


class Refusals:
    """The refusals of one connection.

    Args:
        user: of the connection.
        clock: in seconds, monotonic.
    """

    def __init__(self, user: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._user, self._clock = user, clock
        self._last: dict[str, float] = {}

    def note(self, refusal: NotPermitted) -> None:
        """Record a refusal."""
        operation, now = str(refusal), self._clock()
        if operation not in self._last:
            if len(self._last) == MOST:
                self._last = {known: last for known, last in self._last.items() if last > now - MEMORY}
            if len(self._last) == MOST:
                return
            log.error("NATS does not permit this", user=self._user, refused=operation)
        self._last[operation] = now

    def forget(self) -> None:
        """Forget all, for a new connection: its refusals are logged again."""
        self._last.clear()

    @property
    def present(self) -> tuple[str, ...]:
        """Operations refused within `MEMORY`, such as `publish to metrica.live.counts.shop`."""
        since = self._clock() - MEMORY
        return tuple(operation for operation, last in self._last.items() if last > since)
