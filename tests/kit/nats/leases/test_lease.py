"""The rules of leases: one holder, handed over at once, taken from the dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from nats.js.errors import KeyNotFoundError

from contracts.streams import Bucket, Owner
from infra.local.processes.nats import NatsServer
from services.kit.nats.bus import Bus
from services.kit.nats.leases.lease import Lease, hold
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, eventually
from tests.support.deaf import Line

QUICK = Bucket("quick_leases", Owner.TRACKER, ttl=0.8)


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """A bus with a bucket of leases that live 0.8 s."""
    async with connected(settings) as bus:
        bus._buckets = (QUICK,)
        await bus.declare()
        yield bus


async def holder(bus: Bus, name: str = "pool.motion") -> str | None:
    try:
        value = (await (await bus.bucket(QUICK)).get(name)).value
    except KeyNotFoundError:
        return None
    return value.decode() if value else None


async def take(stack: AsyncExitStack, bus: Bus, token: str, name: str = "pool.motion") -> asyncio.Event:
    return await stack.enter_async_context(hold(bus, name, token, QUICK))


async def test_a_holder_keeps_its_lease_and_another_stands_by(bus: Bus) -> None:
    async with hold(bus, "pool.motion", "one", QUICK) as lost, AsyncExitStack() as other:
        waiting = asyncio.create_task(take(other, bus, "two"))
        await asyncio.wait([waiting], timeout=2 * QUICK.ttl)

        assert not waiting.done()
        assert not lost.is_set()
        assert await holder(bus) == "one"
        waiting.cancel()


async def test_different_leases_have_different_holders(bus: Bus) -> None:
    async with hold(bus, "pool.one", "a", QUICK), hold(bus, "pool.two", "b", QUICK):
        assert (await holder(bus, "pool.one"), await holder(bus, "pool.two")) == ("a", "b")


async def test_a_lease_is_handed_over_without_waiting_for_it_to_expire(bus: Bus) -> None:
    async with AsyncExitStack() as other:
        async with hold(bus, "pool.motion", "one", QUICK):
            waiting = asyncio.create_task(take(other, bus, "two"))
            await asyncio.wait([waiting], timeout=0.1)
        left = time.monotonic()
        await asyncio.wait_for(waiting, 5)

        assert time.monotonic() - left < QUICK.ttl
        assert await holder(bus) == "two"


async def test_a_dead_holder_is_followed_once_its_lease_has_expired(bus: Bus) -> None:
    await (await bus.bucket(QUICK)).create("pool.motion", b"dead")
    died = time.monotonic()

    async with hold(bus, "pool.motion", "two", QUICK):
        assert 0.5 * QUICK.ttl < time.monotonic() - died < 5
        assert await holder(bus) == "two"


async def test_who_lost_the_lease_is_told(bus: Bus) -> None:
    async with hold(bus, "pool.motion", "one", QUICK) as lost:
        await (await bus.bucket(QUICK)).put("pool.motion", b"two")

        await asyncio.wait_for(lost.wait(), 5)


async def test_whose_lease_expired_unnoticed_has_it_again_if_nobody_took_it(bus: Bus) -> None:
    async with hold(bus, "pool.motion", "one", QUICK) as lost:
        await (await bus.bucket(QUICK)).purge("pool.motion")
        await eventually(lambda: holder(bus))

        assert not lost.is_set()
        assert await holder(bus) == "one"


async def test_who_has_it_again_after_another_may_have_had_it_can_tell(bus: Bus) -> None:
    bucket = await bus.bucket(QUICK)
    one = Lease(bucket, "pool.motion", "one", QUICK.ttl)
    epochs: list[int] = []
    for between in (bucket.purge, None, bucket.purge):
        await (one.renew() if epochs else one.take())
        epochs.append(one.epoch)
        if between is not None:
            await between("pool.motion")
    await one.renew()

    assert [*epochs, one.epoch] == [0, 1, 1, 2]


async def test_a_lease_is_not_held_longer_than_its_entry_lives(bus: Bus, nats_server: NatsServer) -> None:
    """A replica that was stopped, or cut off, must not go on as if nothing had happened."""
    one = Lease(await bus.bucket(QUICK), "pool.motion", "one", QUICK.ttl)
    held = [one.held]
    await one.take()
    held.append(one.held)
    nats_server.kill()
    await eventually(lambda: asyncio.sleep(0, not one.held))

    assert held == [False, True]
    nats_server.start()


async def test_who_leaves_takes_nobody_elses_lease_away(bus: Bus) -> None:
    """It may have changed hands since the last renewal."""
    async with hold(bus, "pool.motion", "one", QUICK):
        await (await bus.bucket(QUICK)).put("pool.motion", b"two")

    assert await holder(bus) == "two"


async def test_a_write_whose_acknowledgement_was_lost_is_still_ours(bus: Bus) -> None:
    async with hold(bus, "pool.motion", "one", QUICK) as lost:
        ours = await (await bus.bucket(QUICK)).put("pool.motion", b"one")
        await eventually(lambda: renewed(bus, ours))

        assert not lost.is_set()


async def test_a_renewal_whose_answer_was_lost_is_no_new_epoch(bus: Bus, settings: ServiceSettings) -> None:
    line = Line(settings)
    async with line.opened(), connected(line.settings) as far:
        one = Lease(await far.bucket(QUICK), "pool.motion", "one", QUICK.ttl)
        await one.take()
        line.lose_answer_to(f"$KV.{QUICK.name}.pool.motion")
        with pytest.raises(TimeoutError):
            await one.renew()
        assert line.lost.is_set()

        assert await one.renew()
        assert (one.epoch, one.held, await holder(bus)) == (0, True, "one")


async def test_one_that_was_taken_again_without_an_answer_is_a_new_epoch(bus: Bus, settings: ServiceSettings) -> None:
    """Another may have had it since it expired."""
    line = Line(settings)
    async with line.opened(), connected(line.settings) as far:
        one = Lease(await far.bucket(QUICK), "pool.motion", "one", QUICK.ttl)
        await one.take()
        await bus.js.purge_stream(f"KV_{QUICK.name}")  # as it is when it has expired
        line.lose_answer_to(f"$KV.{QUICK.name}.pool.motion")
        with pytest.raises(TimeoutError):
            await one.take()

        assert await one.renew()
        assert one.epoch == 1


async def renewed(bus: Bus, revision: int) -> bool:
    found = (await (await bus.bucket(QUICK)).get("pool.motion")).revision
    return found is not None and found > revision


async def test_a_kill_of_the_server_costs_nobody_the_lease_for_long(bus: Bus, nats_server: NatsServer) -> None:
    async with AsyncExitStack() as stack:
        await take(stack, bus, "one")
        nats_server.kill()
        nats_server.start()
        await eventually(lambda: held_by_someone(bus))


async def held_by_someone(bus: Bus) -> bool:
    return bus.generation == 1 and await holder(bus) is not None
