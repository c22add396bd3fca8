"""The rules of watching a bucket: present values first, then each change, through an outage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from nats.js.kv import KeyValue

from contracts.streams import CAMERAS, Owner
from infra.local.processes.nats import NatsServer
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import KeyValueEntry, watch
from services.kit.settings import ServiceSettings
from tests.support.broker import connected


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The owner of the bucket `cameras`."""
    async with connected(settings, Owner.API) as bus:
        yield bus


@pytest.fixture
async def cameras(bus: Bus) -> KeyValue:
    """The bucket."""
    return await bus.bucket(CAMERAS)


async def following(entries: AsyncGenerator[KeyValueEntry, None]) -> tuple[str, bytes | None]:
    entry = await asyncio.wait_for(anext(entries), 10)
    return entry.key, entry.value


async def test_present_values_come_first(bus: Bus, cameras: KeyValue) -> None:
    for name in ("a", "b"):
        await cameras.put(f"{name}.current", b"old")
        await cameras.put(f"{name}.current", b"new")

    entries = watch(bus, CAMERAS)
    found = [await asyncio.wait_for(anext(entries), 10) for _ in range(2)]
    await entries.aclose()

    assert found == [KeyValueEntry("a.current", b"new"), KeyValueEntry("b.current", b"new")]


async def test_only_keys_that_match_come(bus: Bus, cameras: KeyValue) -> None:
    await cameras.put("a.7", b"a revision")
    await cameras.put("a.current", b"the newest")

    entries = watch(bus, CAMERAS, "*.current")
    assert await following(entries) == ("a.current", b"the newest")
    await cameras.put("a.8", b"a revision")
    await cameras.put("a.current", b"newer")
    assert await following(entries) == ("a.current", b"newer")
    await entries.aclose()


async def test_changes_deletions_and_empty_values_are_told_apart(bus: Bus, cameras: KeyValue) -> None:
    entries = watch(bus, CAMERAS)
    await cameras.put("a", b"1")
    assert await following(entries) == ("a", b"1")
    await cameras.put("a", b"")
    assert await following(entries) == ("a", b"")
    await cameras.delete("a")
    assert await following(entries) == ("a", None)
    await cameras.put("a", b"2")
    assert await following(entries) == ("a", b"2")
    await cameras.purge("a")
    assert await following(entries) == ("a", None)
    await entries.aclose()


async def test_a_bucket_that_is_made_later_is_waited_for(settings: ServiceSettings) -> None:
    async with connected(settings) as bus:
        entries = watch(bus, CAMERAS)
        first = asyncio.create_task(following(entries))
        await asyncio.wait([first], timeout=0.2)
        async with connected(settings, Owner.API) as owner:
            await (await owner.bucket(CAMERAS)).put("a", b"1")
            assert await first == ("a", b"1")
        await entries.aclose()


async def test_changes_after_a_kill_of_the_server_are_seen(
    bus: Bus, cameras: KeyValue, nats_server: NatsServer, settings: ServiceSettings
) -> None:
    """Values may come again unchanged; what changed while nobody looked is not missed."""
    await cameras.put("a", b"1")
    await cameras.put("b", b"1")
    entries = watch(bus, CAMERAS)
    assert {await following(entries), await following(entries)} == {("a", b"1"), ("b", b"1")}
    nats_server.kill()
    nats_server.start()
    async with connected(settings) as other:
        bucket = await other.bucket(CAMERAS)
        await bucket.put("a", b"2")
        await bucket.delete("b")

    seen: set[tuple[str, bytes | None]] = set()
    while not seen >= {("a", b"2"), ("b", None)}:
        seen.add(await following(entries))
    await entries.aclose()
