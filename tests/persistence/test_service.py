"""The rules of the service: from the stream to the database, the counts onto the bus, what is broken set aside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import asyncpg
import pytest
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import ConsumerConfig, ConsumerInfo
from nats.js.errors import NotFoundError

from contracts import streams
from contracts.events import Counts, DeadLetter
from contracts.streams import CROSSINGS, Owner
from contracts.subjects import counts, crossings, dead_letter
from infra.local.processes.nats import NatsServer
from infra.local.processes.postgres import PostgresServer
from services.kit.nats.bus import Bus
from services.kit.nats.dead_letters import HEADER
from services.kit.settings import ServiceSettings
from services.persistence import app
from services.persistence.app import CONSUMER, Persistence, open_pool
from services.persistence.decoding import Record
from tests.persistence.builders import NOON, crossing, crowd, end
from tests.persistence.conftest import Stored, locked, until

Start = Callable[[], Awaitable[Persistence]]


def clock() -> datetime:
    return NOON + timedelta(hours=1)


@asynccontextmanager
async def connected(settings: ServiceSettings, owner: Owner) -> AsyncIterator[Bus]:
    bus = Bus(settings, owner, owner)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


@pytest.fixture
async def tracker(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The tracker's place on the bus: it owns the stream of crossings."""
    async with connected(settings, Owner.TRACKER) as bus:
        yield bus


@asynccontextmanager
async def running(settings: ServiceSettings, database_url: str) -> AsyncIterator[Persistence]:
    async with connected(settings, Owner.PERSISTENCE) as bus, open_pool(database_url) as pool:
        persistence = Persistence(bus, pool, clock)
        work = asyncio.create_task(persistence.run())
        try:
            yield persistence
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


@pytest.fixture
async def persistence(settings: ServiceSettings, database_url: str) -> AsyncIterator[Persistence]:
    async with running(settings, database_url) as persistence:
        yield persistence


async def send(bus: Bus, *records: Record) -> None:
    for record in records:
        subject = crossings(record.run, record.store, record.camera)
        await bus.publish(subject, record.encode(), msg_id=f"{record.run}/{record.id}")


async def consumer(bus: Bus) -> ConsumerInfo | None:
    try:
        info: ConsumerInfo = await bus.js.consumer_info(CROSSINGS.name, str(CONSUMER.durable_name))
    except NotFoundError:
        return None  # not made yet
    return info


async def all_acknowledged(bus: Bus) -> bool:
    info = await consumer(bus)
    return info is not None and (info.num_pending, info.num_ack_pending) == (0, 0)


async def redelivered(bus: Bus) -> bool:
    info = await consumer(bus)
    return info is not None and bool(info.num_redelivered)


async def dead_letters(bus: Bus, number: int) -> list[Msg]:
    pull = await bus.js.pull_subscribe(
        dead_letter("persistence", "live"), stream=streams.DLQ.name, config=ConsumerConfig()
    )
    return [*(await pull.fetch(number, timeout=10))]


@pytest.mark.usefixtures("persistence")
async def test_crossings_are_stored_and_counts_published(tracker: Bus, stored: Stored) -> None:
    announced = await tracker.client.subscribe(counts("live", "shop"))
    events = [crossing(n) for n in range(30)]

    await send(tracker, *events, end(30))

    await until(lambda: closed(stored))
    heard = Counts.model_validate_json((await announced.next_msg(5)).data)
    while heard.in_ < 30:
        earlier, heard = heard, Counts.model_validate_json((await announced.next_msg(5)).data)
        assert heard.revision > earlier.revision
    assert (heard.in_, heard.out, heard.inside, heard.day) == (30, 0, 30, "2026-11-20")
    assert (heard.revision, heard.last_at) == (await stored.version(), (events[-1].at // 1000) * 1000)
    assert await stored.ids() == {str(event.id): 1 for event in events}
    await until(lambda: all_acknowledged(tracker))


async def closed(stored: Stored) -> bool:
    return "s1" in await stored.sessions()


@pytest.mark.usefixtures("persistence")
async def test_counts_are_heard_only_after_the_commit(tracker: Bus, stored: Stored) -> None:
    announced = await tracker.client.subscribe(counts("live", "shop"))

    for n in range(20):
        await send(tracker, crossing(n))
        heard = Counts.model_validate_json((await announced.next_msg(5)).data)
        assert heard.in_ <= len(await stored.ids())


@pytest.mark.usefixtures("persistence")
async def test_crossing_that_comes_again_announces_nothing(tracker: Bus, stored: Stored) -> None:
    announced = await tracker.client.subscribe(counts("live", "shop"))
    subject, body = crossings("live", "shop", "door"), crossing().encode()
    await tracker.publish(subject, body)
    await announced.next_msg(5)

    await tracker.publish(subject, body)

    await until(lambda: all_acknowledged(tracker))
    with pytest.raises(NatsTimeout):
        await announced.next_msg(0.1)
    assert await stored.version() == 1


@pytest.mark.usefixtures("persistence")
async def test_malformed_event_is_set_aside_and_the_rest_goes_on(tracker: Bus, stored: Stored) -> None:
    subject = crossings("live", "shop", "door")
    wrong = {
        b'{"kind": "crossing", "half': "Invalid JSON",
        json.dumps({**json.loads(crossing(9).encode()), "direction": "sideways"}).encode(): "crossing.direction",
        crossing(9, camera="back").encode(): "its subject is metrica.live.crossings.shop.door",
        crossing(9, spec_revision=2**40).encode(): "out of int32 range",
    }
    await send(tracker, crossing(1))
    for body in wrong:
        await tracker.publish(subject, body)
    await send(tracker, crossing(2), end(2))

    await until(lambda: closed(stored))
    await until(lambda: all_acknowledged(tracker))
    letters = await dead_letters(tracker, len(wrong))

    assert len(await stored.ids()) == 2
    reasons = {msg.data: DeadLetter.model_validate_json((msg.headers or {})[HEADER]) for msg in letters}
    assert set(reasons) == set(wrong)
    for body, words in wrong.items():
        letter = reasons[body]
        assert words in letter.reason
        assert (letter.service, letter.subject, letter.stream) == ("persistence", subject, "CROSSINGS")


async def test_replicas_share_the_stream(
    tracker: Bus, settings: ServiceSettings, database_url: str, stored: Stored
) -> None:
    events = crowd(400, seed=8, stores=("north", "south"))
    async with running(settings, database_url), running(settings, database_url), running(settings, database_url):
        await send(tracker, *events)
        await until(lambda: all_acknowledged(tracker))

    assert await stored.ids() == {str(event.id): 1 for event in events}
    await stored.assert_rollups_equal_record()


async def test_service_waits_for_the_stream(settings: ServiceSettings, database_url: str, stored: Stored) -> None:
    async with running(settings, database_url):
        await asyncio.sleep(0.1)  # it asks for a stream that nobody has declared
        async with connected(settings, Owner.TRACKER) as tracker:
            await send(tracker, crossing(), end(1))
            await until(lambda: closed(stored))


@pytest.mark.usefixtures("persistence")
async def test_session_closes_once_its_late_crossings_are_in(tracker: Bus, stored: Stored) -> None:
    await send(tracker, crossing(1), end(2))
    await until(lambda: redelivered(tracker))
    assert await stored.sessions() == {}

    await send(tracker, crossing(2))

    await until(lambda: closed(stored))
    await until(lambda: all_acknowledged(tracker))


async def test_session_whose_crossings_never_come_closes_at_last(
    tracker: Bus, settings: ServiceSettings, database_url: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "PATIENT_DELIVERIES", 3)
    monkeypatch.setattr(app, "FIRST_PAUSE", 0.01)
    async with running(settings, database_url):
        await send(tracker, end(5))

        await until(lambda: closed(stored))


async def test_session_stays_open_while_another_replica_has_a_crossing_of_it_in_hand(
    tracker: Bus, settings: ServiceSettings, database_url: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "PATIENT_DELIVERIES", 3)
    monkeypatch.setattr(app, "FIRST_PAUSE", 0.01)
    await tracker.js.add_consumer(CROSSINGS.name, CONSUMER)
    await send(tracker, crossing(1))
    other = await tracker.js.pull_subscribe_bind(str(CONSUMER.durable_name), CROSSINGS.name)
    (in_hand,) = await other.fetch(1)
    async with running(settings, database_url):
        await send(tracker, crossing(2), end(2))
        await until(lambda: delivered_again(tracker, 10))
        assert await stored.sessions() == {}

        await in_hand.nak()

        await until(lambda: closed(stored))
    assert len(await stored.ids()) == 2


async def delivered_again(bus: Bus, times: int) -> bool:
    """Tell whether deliveries were so many more than messages."""
    info = await consumer(bus)
    delivered = info.delivered if info else None
    return delivered is not None and delivered.consumer_seq - delivered.stream_seq >= times


async def test_stop_finishes_the_batch_in_hand(
    tracker: Bus, settings: ServiceSettings, database_url: str, stored: Stored
) -> None:
    async with locked(database_url, "count_day") as lock:
        async with running(settings, database_url):
            await send(tracker, crossing())
            await until(stored.a_writer_waits)
            release = asyncio.create_task(lock.execute("SELECT pg_sleep(0.1); COMMIT"))  # once it is being stopped
        await release

    assert len(await stored.ids()) == 1
    await until(lambda: all_acknowledged(tracker))


async def test_readiness_tells_of_a_database_that_is_away(
    postgres_server: PostgresServer, persistence: Persistence
) -> None:
    await persistence.check()

    await asyncio.to_thread(postgres_server.kill)

    with pytest.raises(RuntimeError):
        await persistence.check()


@pytest.mark.usefixtures("persistence")
async def test_servers_killed_in_turn_lose_and_double_nothing(
    nats_server: NatsServer, postgres_server: PostgresServer, tracker: Bus, stored: Stored
) -> None:
    events = crowd(300, seed=9)
    kills: dict[int, NatsServer | PostgresServer] = {100: nats_server, 200: postgres_server}

    for n, event in enumerate(events):
        if n in kills:
            await asyncio.to_thread(kills[n].kill)
            await asyncio.to_thread(kills[n].start)
        await send(tracker, event)
    await until(lambda: all_in(stored, len(events)), 50)

    assert await stored.ids() == {str(event.id): 1 for event in events}
    await stored.assert_rollups_equal_record()


async def all_in(stored: Stored, number: int) -> bool:
    try:
        return len(await stored.ids()) == number
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
