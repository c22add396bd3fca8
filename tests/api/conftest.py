"""The API of a test, on real servers: `served` lets this machine look, `client` asks one where everybody signs in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import asyncpg
import httpx
import pytest
from sqlalchemy.pool import NullPool

from contracts.streams import Owner
from services.api.database import open_engine, open_sessions
from services.kit.database.tables import Store
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from tests.api import seeded
from tests.api.asked import Asked, asking
from tests.api.mailing import mail_settings
from tests.api.seeded import ROOT, Seed
from tests.api.served import BROWSER, PATIENCE, FakeClock, Served, serving, until_ready
from tests.support.post_office import PostOffice, post_office

MORNING = datetime(2026, 11, 23, 8, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clean_schema(database: str) -> str:
    """Every test has a database of its own, with the present schema and nothing in it."""
    return database


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
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE, headers=BROWSER) as client:
            await until_ready(client)
            yield Served(client, parts, clock, ingest_bus, pool, api_database_url)


@pytest.fixture
async def guarded(
    settings: ServiceSettings,
    api_database_url: str,
    pool: asyncpg.Pool,
    ingest_bus: Bus,
    clock: FakeClock,
    seed: Seed,
) -> AsyncIterator[Served]:
    """The API where everybody signs in, and what there is in `seed`."""
    async with serving(settings, api_database_url, clock, local_access="none") as parts:
        address = f"http://127.0.0.1:{parts.settings.port}"
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
            await until_ready(client)
            yield Served(client, parts, clock, ingest_bus, pool, api_database_url)


@pytest.fixture
def client(guarded: Served) -> httpx.AsyncClient:
    """Somebody who has not signed in, unless a request's headers say otherwise."""
    return guarded.client


@pytest.fixture
async def seed(api_database_url: str, clock: FakeClock) -> Seed:
    """Two organizations with people, stores, cameras and keys; see `tests.api.seeded`."""
    engine = open_engine(api_database_url, poolclass=NullPool)
    async with open_sessions(engine)() as session, session.begin():
        return await seeded.make(session, clock())


@pytest.fixture
async def tunis_seed(seed: Seed, api_database_url: str) -> str:
    """The id of one more store of acme's, in Africa/Tunis, with a camera `souk`."""
    engine = open_engine(api_database_url, poolclass=NullPool)
    async with open_sessions(engine)() as session, session.begin():
        session.add(Store(id="tunis", organization="acme", name="Tunis", time_zone="Africa/Tunis"))
        await session.flush()
        await seeded.add_camera(session, "tunis", "souk")
    return "tunis"


@pytest.fixture
def make_token(seed: Seed) -> Callable[..., str]:
    """`make_token("viewer@acme")`: a token signed with the tests' own key; claims may be said otherwise."""
    return seed.token


@pytest.fixture
def auth_headers(seed: Seed) -> Callable[[str], dict[str, str]]:
    """`auth_headers("viewer@acme")`: what that person sends."""
    return seed.headers


@pytest.fixture
def superadmin_headers(seed: Seed) -> dict[str, str]:
    """The headers of a superadmin's requests."""
    return seed.headers(ROOT)


@pytest.fixture
def worker_headers(seed: Seed) -> dict[str, str]:
    """The headers of requests by the worker of the store `shop`."""
    return {"X-Worker-Key": seed.keys["acme-worker"]}


@pytest.fixture
async def asked(api_database_url: str, pool: asyncpg.Pool, clock: FakeClock) -> AsyncIterator[Asked]:
    async with asking(api_database_url, clock) as client:
        yield Asked(client, clock, pool, api_database_url)


@pytest.fixture
async def post() -> AsyncIterator[PostOffice]:
    """A mail server."""
    async with post_office() as office:
        yield office


@pytest.fixture
async def mailed(
    settings: ServiceSettings,
    api_database_url: str,
    pool: asyncpg.Pool,
    ingest_bus: Bus,
    clock: FakeClock,
    seed: Seed,
    post: PostOffice,
) -> AsyncIterator[Served]:
    """As `guarded`, and it sends mail."""
    said = {"local_access": "none", **mail_settings(post)}
    async with serving(settings, api_database_url, clock, limits=None, **said) as parts:
        address = f"http://127.0.0.1:{parts.settings.port}"
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
            await until_ready(client)
            yield Served(client, parts, clock, ingest_bus, pool, api_database_url)
