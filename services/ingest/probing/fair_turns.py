"""Turns for camera tests: organizations are served in rotation, and each has a limit of tests at a time."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 4
"""Tests that run at a time. Each holds a thread and a connection to a camera."""
PER_ORGANIZATION = 2
"""Tests that one organization may run at a time."""
LINGERING = 8
"""Threads of an organization that may hang in an address after their test was cancelled, before its next test waits."""


class FairTurns:
    """Admits tests. Among the organizations that wait, the one that was served longest ago is next.

    Args:
        at_once: tests that run at a time.
        per_organization: tests of one organization that run at a time.
        lingering: hanging threads of one organization from which on its tests wait.
    """

    def __init__(
        self, at_once: int = AT_ONCE, per_organization: int = PER_ORGANIZATION, lingering: int = LINGERING
    ) -> None:
        self._at_once, self._per_organization, self._most_lingering = at_once, per_organization, lingering
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """Places that are waited for, by organization, in the order in which organizations are served."""
        self._running: Counter[str] = Counter()
        self._lingering: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, organization: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it within the context."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(organization, deque()).append(place)
        self._hand_out()
        try:
            await place
            yield
        finally:
            if place.done() and not place.cancelled():
                self._running[organization] -= 1
            else:
                self._leave(organization, place)
            self._hand_out()

    def linger(self, organization: str, work: asyncio.Future[T]) -> None:
        """Count a hanging thread against its organization until it ends."""

        def ended(done: asyncio.Future[T]) -> None:
            if not done.cancelled():
                done.exception()  # retrieved, as its test no longer waits for it
            self._lingering[organization] -= 1
            self._hand_out()

        self._lingering[organization] += 1
        work.add_done_callback(ended)

    def _leave(self, organization: str, place: asyncio.Future[None]) -> None:
        queue = self._waiting.get(organization)
        if queue is not None and place in queue:
            queue.remove(place)
            if not queue:
                del self._waiting[organization]

    def _hand_out(self) -> None:
        while self._running.total() < self._at_once:
            organization = next((name for name in self._waiting if self._may_run(name)), None)
            if organization is None:
                return
            queue = self._waiting.pop(organization)
            place = queue.popleft()
            if queue:
                self._waiting[organization] = queue  # behind all others
            if not place.done():
                self._running[organization] += 1
                place.set_result(None)

    def _may_run(self, organization: str) -> bool:
        return (
            self._running[organization] < self._per_organization
            and self._lingering[organization] < self._most_lingering
        )
