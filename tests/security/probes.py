"""An ingest that does nothing but answer camera tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.ingest.probing.fair_turns import FairTurns
from services.ingest.probing.probe import Prober
from services.ingest.settings import IngestSettings
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from tests.api.served import SECRET_KEY


@asynccontextmanager
async def answering(settings: ServiceSettings, bus: Bus, turns: FairTurns | None = None) -> AsyncIterator[None]:
    """An ingest that answers probes."""
    said = settings.model_dump() | {"secret_key": SECRET_KEY, "open_timeout": 2.0, "read_timeout": 2.0}
    task = asyncio.create_task(Prober(bus, IngestSettings.model_validate(said), turns).run())
    await asyncio.sleep(0)
    await bus.client.flush()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
