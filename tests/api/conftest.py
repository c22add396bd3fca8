"""The API of a test, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import httpx
import pytest

from contracts.streams import Owner
from services.kit.bus import Bus
from services.kit.settings import ServiceSettings
from tests.api.asked import Asked, asking
from tests.api.served import FakeClock, Served, serving, until_ready

MORNING = datetime(2026, 11, 23, 8, 20, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(MORNING)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        yield pool


@pytest.fixture
async def ingest_bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    bus = await Bus(settings, "test", Owner.INGEST).start()
    yield bus
    await bus.stop()


@pytest.fixture
async def served(
    settings: ServiceSettings, api_database_url: str, pool: asyncpg.Pool, ingest_bus: Bus, clock: FakeClock
) -> AsyncIterator[Served]:
    async with serving(settings, api_database_url, clock) as parts:
        address = f"http://127.0.0.1:{parts.settings.port}"
        async with httpx.AsyncClient(base_url=address, timeout=5) as client:
            await until_ready(client)
            yield Served(client, parts, clock, ingest_bus, pool, api_database_url)


@pytest.fixture
async def asked(api_database_url: str, pool: asyncpg.Pool, clock: FakeClock) -> AsyncIterator[Asked]:
    async with asking(api_database_url, clock) as client:
        yield Asked(client, clock, pool, api_database_url)
