"""A database that is away for ten minutes, at a hundredth of all times: six seconds in which every message comes again
sixty times. What is real is the outage, the redeliveries and the replicas; only the clock is short.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from contracts.streams import Owner
from infra.local.processes.postgres import PostgresServer
from services.kit import retry
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.persistence import app
from tests.persistence.builders import crossing, end
from tests.persistence.conftest import Stored, until
from tests.persistence.test_service import all_acknowledged, connected, running, send

OUTAGE = 600.0
SHORTER = 100
SESSIONS, EACH = 3, 8

# The database itself notes a session that it is told to close before its crossings are in.
_WATCH = """
CREATE TABLE early (session text);
CREATE FUNCTION note_early() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.count > coalesce((SELECT crossings FROM session_count s WHERE s.session = NEW.session), 0) THEN
        INSERT INTO early VALUES (NEW.session);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_early AFTER INSERT ON run_session FOR EACH ROW EXECUTE FUNCTION note_early();
"""


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE", "LONGEST_PAUSE"):
        monkeypatch.setattr(app, name, getattr(app, name) / SHORTER)
    monkeypatch.setattr(app, "CONSUMER", replace(app.CONSUMER, ack_wait=app.ACK_WAIT / SHORTER))
    monkeypatch.setattr(retry, "LONGEST_DELAY", retry.LONGEST_DELAY / SHORTER)


@pytest.fixture
async def tracker(settings: ServiceSettings) -> AsyncIterator[Bus]:
    async with connected(settings, Owner.TRACKER) as bus:
        yield bus


@pytest.mark.usefixtures("short_times")
async def test_no_session_is_closed_before_its_crossings_are_in(
    tracker: Bus, settings: ServiceSettings, database_url: str, postgres_server: PostgresServer, stored: Stored
) -> None:
    await stored.pool.execute(_WATCH)
    async with AsyncExitStack() as replicas:
        for _ in range(3):
            await replicas.enter_async_context(running(settings, database_url))
        await asyncio.to_thread(postgres_server.kill)
        for number in range(SESSIONS):
            session = f"s{number}"
            await send(tracker, *(crossing(seq, session=session) for seq in range(EACH)), end(EACH, session=session))
        await asyncio.sleep(OUTAGE / SHORTER)
        await asyncio.to_thread(postgres_server.start)

        await until(lambda: all_acknowledged(tracker), 60)

    assert [row["session"] for row in await stored.pool.fetch("SELECT session FROM early")] == []
    assert await stored.sessions() == {f"s{number}": EACH for number in range(SESSIONS)}
    assert set((await stored.ids()).values()) == {1}
    await stored.assert_rollups_equal_record()
