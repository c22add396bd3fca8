"""The rules of runs in the record: they are written beside the live one, and a dropped one leaves no row."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from contracts.identity import LIVE
from contracts.runs import Run, RunCamera, RunKind, run_key
from contracts.streams import RUNS, run_streams
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.persistence.writer import Writer
from tests.persistence.builders import NOON, crossing, end
from tests.persistence.conftest import Stored, until
from tests.persistence.test_service import running, send
from tests.support.broker import connected

TABLES = ("crossing", "count_minute", "count_quarter", "count_day", "store_version", "session_count", "run_session")
RUN = Run(
    name="night", kind=RunKind.PATHS, cameras=(RunCamera(camera="door", store="shop"),), since=1, until=2, created_at=1
)


@pytest.fixture
async def bus(settings: ServiceSettings, database_url: str) -> AsyncIterator[Bus]:
    """Everything is declared, and persistence at work on it."""
    async with connected(settings, everything=True) as bus, running(settings, database_url):
        yield bus


async def rows(stored: Stored, run: str) -> dict[str, int]:
    """The number of rows of a run in each table."""
    return {table: await stored.pool.fetchval(f"SELECT count(*) FROM {table} WHERE run = $1", run) for table in TABLES}


async def test_a_run_is_counted_beside_the_live_one_and_dropping_it_leaves_the_live_one_alone(
    bus: Bus,
    stored: Stored,
) -> None:
    await bus.make(run_streams("night").crossings)
    bucket = await bus.bucket(RUNS)
    await bucket.put(run_key("night"), RUN.model_dump_json().encode())
    await send(bus, crossing(1), crossing(2), end(2))
    await send(bus, *(crossing(seq, run="night") for seq in range(3)), end(3, run="night"))

    async def both_are_in() -> bool:
        return bool(await stored.pool.fetchval("SELECT count(*) = 2 FROM run_session"))

    await until(both_are_in)
    live = await rows(stored, LIVE)
    assert (await rows(stored, "night"))["crossing"] == 3
    await stored.assert_rollups_equal_record()

    await bucket.delete(run_key("night"))

    async def it_is_gone() -> bool:
        return not any((await rows(stored, "night")).values())

    await until(it_is_gone)
    assert await rows(stored, LIVE) == live


async def test_what_cannot_be_stored_of_a_run_is_its_own_dead_letter(
    bus: Bus,
) -> None:
    await bus.make(run_streams("night").crossings)
    await (await bus.bucket(RUNS)).put(run_key("night"), RUN.model_dump_json().encode())
    await bus.publish("metrica.night.crossings.shop.door", b"{")

    async def it_is_buried() -> bool:
        info = await bus.js.stream_info("DLQ", subjects_filter="metrica.dlq.persistence.night")
        return bool(info.state.subjects)

    await until(it_is_buried)


async def test_the_live_run_is_never_forgotten(writer: Writer, stored: Stored) -> None:
    await writer.write([crossing(1, at=NOON)])
    with pytest.raises(ValueError, match="never forgotten"):
        await writer.forget_run(LIVE)

    assert (await rows(stored, LIVE))["crossing"] == 1
