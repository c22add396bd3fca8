"""Crossings reach the database and the browser alike on servers from wheels and on those of compose.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from contracts.events import Crossing, SessionEnd
from contracts.identity import Direction
from contracts.streams import Owner
from contracts.subjects import crossings
from infra.local.processes.postgres import API, PERSISTENCE
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from services.kit.nats.bus import Bus
from services.persistence.app import Persistence, open_pool
from services.persistence.migrate import upgrade
from tests.api.served import BROWSER, FakeClock, Follower, serving, until_ready
from tests.persistence.builders import NOON, crossing, end
from tests.support.broker import connected
from tests.support.record import crossings as stored
from tests.support.record import wait_for_end
from tests.support.servers import Servers, from_wheels, in_containers

LATER = NOON + timedelta(hours=1)


@pytest.fixture(params=["wheels", pytest.param("containers", marks=pytest.mark.containers)])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Servers]:
    with from_wheels(tmp_path) if request.param == "wheels" else in_containers() as running:
        yield running


async def test_what_the_tracker_finds_is_stored_once_and_shown(servers: Servers) -> None:
    await upgrade(servers.database_urls[PERSISTENCE])
    await ensure_camera(servers.database_urls[API], CameraSetup(camera="door", store="shop", address="sim://door"))
    found = [crossing(seq, direction=Direction.OUT if seq % 3 else Direction.IN) for seq in range(30)]

    async with (
        connected(servers.settings(Owner.TRACKER), Owner.TRACKER) as tracker,
        _persistence(servers),
        _dashboard(servers) as dashboard,
    ):
        assert (await dashboard.next("snapshot")).data["store"]["counts"]["in"] == 0
        await _publish(tracker, *found, *reversed(found), end(len(found)))
        await wait_for_end(servers.database_urls[PERSISTENCE], "door", within=30)
        counts = (await dashboard.next("counts")).data
        while (counts["in"], counts["out"]) != (10, 20):
            counts = (await dashboard.next("counts")).data

    record = await stored(servers.database_urls[PERSISTENCE], "door")
    assert [row[0] for row in record] == [one.id for one in found]


async def _publish(bus: Bus, *records: Crossing | SessionEnd) -> None:
    for record in records:
        await bus.publish(crossings(record.run, record.store, record.camera), record.encode())


@asynccontextmanager
async def _persistence(servers: Servers) -> AsyncIterator[None]:
    async with (
        connected(servers.settings(Owner.PERSISTENCE), Owner.PERSISTENCE) as bus,
        open_pool(servers.database_urls[PERSISTENCE]) as pool,
    ):
        work = asyncio.create_task(Persistence(bus, pool, lambda: LATER).run())
        try:
            yield
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


@asynccontextmanager
async def _dashboard(servers: Servers) -> AsyncIterator[Follower]:
    async with (
        connected(servers.settings(Owner.INGEST), Owner.INGEST),  # whose stream of statuses the api waits for
        serving(servers.settings(Owner.API), servers.database_urls[API], FakeClock(LATER)) as parts,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{parts.settings.port}", timeout=5, headers=BROWSER) as client,
    ):
        await until_ready(client)
        async with client.stream("GET", "/v1/stores/shop/events") as response:
            yield Follower(response)
