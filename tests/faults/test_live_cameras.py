"""Live cameras go on by themselves after whatever happens to the broker and to those who read from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contracts.identity import LIVE
from contracts.streams import FRAMES, PREVIEW
from contracts.subjects import tracks
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from tests.api.served import BROWSER
from tests.faults.films import UNHURRIED
from tests.faults.streets import Street, streets
from tests.support.broker import eventually, jetstream
from tests.support.freezing import frozen
from tests.support.lanes import MODEL
from tests.support.record import crossings
from tests.support.scene import STORE

PATIENCE = 60.0

Counting = tuple[Stack, Street]


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counting]:
    """A camera that is counted, for all tests of this module."""
    folder: Path = tmp_path_factory.mktemp("live")
    with Stack(folder, restart=False, durable=False, environment=UNHURRIED) as stack, streets(1) as (street,):
        asyncio.run(ensure_camera(stack.api_database_url, street.camera, stack.vault))
        _counts_on(stack, street)
        yield stack, street
        _counts_on(stack, street)
        asyncio.run(street.assert_nobody_counted_twice(stack))


def _counts_on(stack: Stack, street: Street) -> None:
    """Wait until somebody is counted who crosses from now on."""
    now = time.time_ns()

    async def counted() -> bool:
        return any(row[4] > now for row in await crossings(stack.database_url, street.camera.camera))

    asyncio.run(eventually(counted, within=PATIENCE))
    assert all(service.running for service in stack.services.values())


def test_streams_that_a_restart_of_the_broker_emptied_are_filled_again(counting: Counting) -> None:
    stack, street = counting
    stack.nats.kill()
    stack.nats.start()

    async def filled() -> bool:
        async with jetstream(stack) as js:
            infos = [await js.stream_info(name) for name in (FRAMES.name, PREVIEW.name)]
        return all(info.state.messages for info in infos)

    asyncio.run(eventually(filled, within=PATIENCE))
    _counts_on(stack, street)


def test_a_consumer_that_somebody_deleted_is_made_again(counting: Counting) -> None:
    stack, street = counting

    async def delete() -> None:
        async with jetstream(stack) as js:
            await js.delete_consumer(FRAMES.name, f"detector-{MODEL}")
            await eventually(lambda: js.consumer_info(FRAMES.name, f"detector-{MODEL}"), within=PATIENCE)

    asyncio.run(delete())
    _counts_on(stack, street)


def test_who_reads_too_slowly_is_cut_off_by_the_broker_and_comes_back(counting: Counting) -> None:
    stack, street = counting
    api = stack.services["api"]
    before = stack.nats.log.read_text().count("Slow Consumer")
    with frozen(api.pid):
        asyncio.run(_flood(stack))
    assert stack.nats.log.read_text().count("Slow Consumer") > before

    api.wait_ready(PATIENCE)
    asyncio.run(_watch(stack, street))
    _counts_on(stack, street)


async def _flood(stack: Stack) -> None:
    """Send the API more than the server keeps for who does not read: 64 MiB."""
    async with jetstream(stack) as js:
        for _ in range(1500):
            await js._nc.publish(tracks(LIVE, STORE, "nobody"), bytes(64 * 1024))
        await js._nc.flush(30)


async def _watch(stack: Stack, street: Street) -> None:
    """Wait for what the API only hears from the bus: where people are now."""
    async with (
        httpx.AsyncClient(timeout=PATIENCE, headers=BROWSER) as client,
        client.stream("GET", f"{stack.url}/v1/stores/{STORE}/events") as answer,
    ):
        async for line in answer.aiter_lines():
            if line == "event: tracks":
                return
