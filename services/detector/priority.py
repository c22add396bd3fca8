"""Whose turn it is: live frames are looked at first, those of a replay when none of them waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from services.kit.nats.consumer import Reader


class Turns:
    """One detector's turns. A replay asks before it takes a frame, so that none waits in its hands."""

    def __init__(self) -> None:
        self._live: list[Reader] = []
        self._looking = 0
        self._looked = asyncio.Event()

    def add_live(self, reader: Reader) -> None:
        """What this reader brings goes first."""
        self._live.append(reader)

    @contextmanager
    def live(self) -> Iterator[None]:
        """While live frames are looked at."""
        self._looking += 1
        try:
            yield
        finally:
            self._looking -= 1
            self._looked.set()

    async def quiet(self) -> None:
        """Wait until no live frame is being looked at, nor waits to be."""
        while self._looking or not all(reader.idle for reader in self._live):
            self._looked.clear()
            await self._looked.wait()
