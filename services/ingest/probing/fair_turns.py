"""Turns for camera tests: organizations are served one after the other, and none takes all places."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 4
"""Each holds a thread and a connection to a camera."""
OF_ONE = 2
"""Places that one organization may have at a time."""
LINGERING = 8
"""Threads of an organization that may still hang in an address after their test was called off: it waits for them."""


class FairTurns:
    """Hands out places. Among organizations that wait, the one that was served longest ago is next."""

    def __init__(self, at_once: int = AT_ONCE, of_one: int = OF_ONE, lingering: int = LINGERING) -> None:
        self._at_once, self._of_one, self._most_lingering = at_once, of_one, lingering
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By organization, in the order in which they are served."""
        self._running: Counter[str] = Counter()
        self._lingering: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, organization: str) -> AsyncIterator[None]:
        """Wait for a place, and have it."""
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
        """Count a thread that was left hanging, until it ends."""

        def ended(done: asyncio.Future[T]) -> None:
            if not done.cancelled():
                done.exception()  # nobody else asks for it
            self._lingering[organization] -= 1
            self._hand_out()

        self._lingering[organization] += 1
        work.add_done_callback(ended)

    def _leave(self, organization: str, place: asyncio.Future[None]) -> None:
        line = self._waiting.get(organization)
        if line is not None and place in line:
            line.remove(place)
            if not line:
                del self._waiting[organization]

    def _hand_out(self) -> None:
        while self._running.total() < self._at_once:
            organization = next((one for one in self._waiting if self._may_run(one)), None)
            if organization is None:
                return
            line = self._waiting.pop(organization)
            place = line.popleft()
            if line:
                self._waiting[organization] = line  # behind all others
            if not place.done():
                self._running[organization] += 1
                place.set_result(None)

    def _may_run(self, organization: str) -> bool:
        return self._running[organization] < self._of_one and self._lingering[organization] < self._most_lingering
