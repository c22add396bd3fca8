"""The rules of cameras' health: each change once, in spite of repeats, restarts, replicas and outages."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest

from contracts import subjects
from contracts.events import State, Status
from contracts.identity import LIVE
from contracts.streams import Owner
from infra.local.processes.postgres import PostgresServer
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.persistence.health import write_health
from tests.persistence.builders import crossing, status
from tests.persistence.conftest import Stored, locked, until
from tests.persistence.test_service import connected, running, send

REFUSED, RETRYING, RUNNING, STARTING = State.REFUSED, State.RETRYING, State.RUNNING, State.STARTING


@pytest.fixture(autouse=True)
async def door(stored: Stored) -> None:
    await stored.add_store("shop", "Africa/Tunis")
    await stored.add_camera()


@pytest.fixture
async def ingest(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """Ingest's place on the bus: it owns the stream of statuses."""
    async with connected(settings, Owner.INGEST) as bus:
        yield bus


async def say(bus: Bus, *statuses: Status) -> None:
    for one in statuses:
        await bus.publish(subjects.status(LIVE, one.store, one.camera, one.service), one.encode())


async def kept(stored: Stored, number: int) -> bool:
    return len(await stored.health()) >= number


async def test_what_is_said_again_is_kept_once(pool: asyncpg.Pool, stored: Stored) -> None:
    await write_health(pool, [status(0), status(10), status(20)])
    await write_health(pool, [status(30), status(35, RETRYING, "no answer"), status(40, RETRYING, "no picture")])

    assert await stored.health() == [
        (0, "ingest", "running", ""),
        (35, "ingest", "retrying", "no answer"),
        (40, "ingest", "retrying", "no picture"),
    ]


async def test_each_service_has_its_own_word(pool: asyncpg.Pool, stored: Stored) -> None:
    await write_health(pool, [status(0), status(1, service="detector"), status(2, service="detector"), status(3)])

    assert await stored.health() == [(0, "ingest", "running", ""), (1, "detector", "running", "")]


async def test_a_try_in_the_middle_of_trouble_is_no_news(pool: asyncpg.Pool, stored: Stored) -> None:
    tries = [(STARTING, "Opening."), (RETRYING, "no answer")] * 20
    said = [status(0, STARTING, "Opening."), status(1), *(status(n, *word) for n, word in enumerate(tries, 2))]
    await write_health(pool, [*said, status(60, STARTING, "Opening."), status(61)])

    assert await stored.health() == [
        (0, "ingest", "starting", "Opening."),
        (1, "ingest", "running", ""),
        (2, "ingest", "starting", "Opening."),
        (3, "ingest", "retrying", "no answer"),
        (61, "ingest", "running", ""),
    ]


@pytest.mark.parametrize("seed", range(5))
async def test_in_whatever_pieces_and_how_often_it_comes_the_same_is_kept(
    pool: asyncpg.Pool, stored: Stored, seed: int
) -> None:
    rng = random.Random(seed)
    states = rng.choices([RUNNING, STARTING, RETRYING], weights=[4, 1, 2], k=80)
    said = [status(n, state, service=rng.choice(["ingest", "detector"])) for n, state in enumerate(states)]
    await write_health(pool, said)
    whole = await stored.health()

    for _ in range(4):  # each a start: from somewhere in the stream on to its end
        at = rng.randrange(len(said))
        while at < len(said):
            size = rng.randint(1, 20)
            await write_health(pool, said[at : at + size])
            at += size
    assert await stored.health() == whole

    await pool.execute("DELETE FROM camera_health")
    for one in said:
        await write_health(pool, [one])
    assert await stored.health() == whole


async def test_what_is_no_camera_of_the_store_has_no_history(pool: asyncpg.Pool, stored: Stored) -> None:
    await write_health(pool, [status(0, camera="gone"), status(1, store="mall"), status(2)])

    assert await stored.health() == [(2, "ingest", "running", "")]


async def test_a_camera_that_is_removed_takes_its_history_with_it(pool: asyncpg.Pool, stored: Stored) -> None:
    await stored.add_camera("gate")
    await write_health(pool, [status(0), status(1, camera="gate")])

    await pool.execute("DELETE FROM camera WHERE id = 'door'")

    assert await stored.health() == [(1, "ingest", "running", "")]


async def test_what_the_database_never_takes_is_passed_over(pool: asyncpg.Pool, stored: Stored) -> None:
    said = [status(n, RETRYING, f"{n}") for n in range(7)]
    await write_health(pool, [*said[:3], status(3, RETRYING, "a\0b"), *said[4:]])

    assert [second for second, *_ in await stored.health()] == [0, 1, 2, 4, 5, 6]


async def test_it_waits_for_a_database_that_is_away(
    postgres_server: PostgresServer, pool: asyncpg.Pool, stored: Stored
) -> None:
    await asyncio.to_thread(postgres_server.kill)
    writing = asyncio.create_task(write_health(pool, [status(0)]))
    await asyncio.sleep(0)

    await asyncio.to_thread(postgres_server.start)

    await writing
    assert await stored.health() == [(0, "ingest", "running", "")]


async def test_replicas_and_their_restarts_keep_each_change_once(
    ingest: Bus, settings: ServiceSettings, database_url: str, stored: Stored
) -> None:
    said = [status(n, [RUNNING, RETRYING][n // 3 % 2]) for n in range(30)]
    async with running(settings, database_url), running(settings, database_url):
        await say(ingest, *said[:15])
        await until(lambda: kept(stored, 5))
    async with running(settings, database_url), running(settings, database_url):
        await ingest.client.publish(subjects.status(LIVE, "shop", "door", "ingest"), b"nonsense")
        await say(ingest, *said[15:])
        await until(lambda: kept(stored, 10))

    assert [second for second, *_ in await stored.health()] == [*range(0, 30, 3)]


async def test_crossings_do_not_wait_for_it(
    ingest: Bus, settings: ServiceSettings, database_url: str, stored: Stored
) -> None:
    async with (
        connected(settings, Owner.TRACKER) as tracker,
        locked(database_url, "camera_health") as lock,
        running(settings, database_url) as persistence,
    ):
        await say(ingest, status(0))
        await until(stored.a_writer_waits)
        await send(tracker, *[crossing(n) for n in range(20)])
        await until(lambda: all_in(stored, 20))
        await persistence.check()
        assert await stored.a_writer_waits()

        await lock.execute("COMMIT")
        await until(lambda: kept(stored, 1))


async def all_in(stored: Stored, number: int) -> bool:
    return len(await stored.ids()) == number
