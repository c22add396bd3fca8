"""Priority of live frames: a replay's frames are taken only while no live frame waits or is being processed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from services.kit.nats.durable_consumer import DurableConsumer


class LivePriority:
    """Live work of one detector. A replay waits here before it fetches a frame, so that it holds none meanwhile."""

    def __init__(self) -> None:
        self._readers: list[DurableConsumer] = []
        self._working = 0
        self._done = asyncio.Event()

    def add_live(self, reader: DurableConsumer) -> None:
        """Register a reader of live frames."""
        self._readers.append(reader)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Mark live frames as being processed while the context lasts."""
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._done.set()

    async def wait_until_idle(self) -> None:
        """Wait until no live frame is being processed or waits."""
        while self._working or not all(reader.idle for reader in self._readers):
            self._done.clear()
            await self._done.wait()
