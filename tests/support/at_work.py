"""Services at work within a test: real ones, on the test's own servers, each with a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from services.detector.app import DetectorService
from services.detector.settings import DetectorSettings
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.persistence.app import Persistence, open_pool
from services.replay.app import ReplayService
from services.tracker.app import TrackerService
from tests.support.broker import connected


@asynccontextmanager
async def counting(
    settings: ServiceSettings,
    database_url: str,
    *,
    backends: dict[str, str] | None = None,
    trackers: int = 1,
    replays: int = 1,
) -> AsyncIterator[Bus]:
    """Trackers, replay and persistence, a detector where backends are named; yields a connection of the test's own."""
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(connected(settings, everything=True))
        works = []
        for number in range(trackers):
            own = await stack.enter_async_context(connected(settings))
            works.append(TrackerService(own, f"tracker-{number}").run())
        own = await stack.enter_async_context(connected(settings))
        pool = await stack.enter_async_context(open_pool(database_url))
        works.append(Persistence(own, pool).run())
        for number in range(replays):
            own = await stack.enter_async_context(connected(settings))
            works.append(ReplayService(own, f"replay-{number}").run())
        if backends:
            own = await stack.enter_async_context(connected(settings))
            of_detector = DetectorSettings(**settings.model_dump(), backends=backends)
            works.append(DetectorService(own, of_detector).run())
        tasks = [asyncio.create_task(work) for work in works]
        try:
            yield bus
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
