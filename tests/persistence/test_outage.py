"""The rules of an outage: nothing is lost and nothing doubled, however the database goes away."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from infra.local.processes.postgres import PostgresServer
from services.persistence.database_errors import in_words
from services.persistence.decoding import Record
from services.persistence.writer import Outcome, Writer
from tests.persistence.builders import crossing, crowd, end
from tests.persistence.conftest import Stored, locked, until


async def until_away(writer: Writer) -> None:
    async def away() -> bool:
        return writer.problem is not None

    await until(away)


@pytest.mark.parametrize("table", ["store_version", "count_day", "run_session"])
async def test_database_killed_in_mid_transaction(
    postgres_server: PostgresServer, database_url: str, writer: Writer, stored: Stored, table: str
) -> None:
    await writer.write(crowd(20, seed=6))
    batch: list[Record] = [*crowd(60, seed=6), end(0, session="other")]
    async with locked(database_url, table):
        writing = asyncio.create_task(writer.write(batch))
        await until(stored.a_writer_waits)
        await asyncio.to_thread(postgres_server.kill)
    await until_away(writer)

    await asyncio.to_thread(postgres_server.start)
    outcome = await writing

    assert (outcome.new, outcome.duplicates, outcome.refused, writer.problem) == (40, 20, {}, None)
    assert set((await stored.ids()).values()) == {1}
    assert len(await stored.ids()) == 60
    await stored.assert_rollups_equal_record()


async def test_database_that_is_away_at_the_start_is_waited_for(
    postgres_server: PostgresServer, writer: Writer, stored: Stored, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread(postgres_server.stop)
    writing = asyncio.create_task(writer.write([crossing()]))
    await until_away(writer)
    await asyncio.sleep(0.2)  # more tries, which say nothing new

    await asyncio.to_thread(postgres_server.start)

    assert (await writing).new == 1
    assert len(await stored.ids()) == 1
    said = capsys.readouterr().out
    assert said.count("the database takes nothing now") == said.count("the database takes crossings again") == 1


async def test_commit_whose_answer_was_lost_still_announces_its_stores(
    pool: asyncpg.Pool, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(pool)
    commit = writer._commit
    answers = iter([False, True])

    async def commit_and_lose_the_answer(*args: object) -> None:
        if next(answers):
            return await commit(*args)  # type: ignore[arg-type]  # passed on as it came
        await commit(args[0], args[1], Outcome())  # type: ignore[arg-type]  # the same
        raise ConnectionResetError

    monkeypatch.setattr(writer, "_commit", commit_and_lose_the_answer)
    outcome = await writer.write([crossing()])

    assert outcome.changed == {("live", "shop")}
    assert await stored.days() == {"2026-11-20": (1, 0)}


async def test_terminated_connection_costs_a_try(pool: asyncpg.Pool, database_url: str, stored: Stored) -> None:
    writer = Writer(pool)
    async with locked(database_url, "count_quarter"):
        writing = asyncio.create_task(writer.write([crossing()]))
        await until(stored.a_writer_waits)
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
    outcome = await writing

    assert outcome.new == 1
    assert await stored.days() == {"2026-11-20": (1, 0)}


async def test_writer_that_is_stopped_on_a_breaking_connection_ends(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_while_cancelled(*_: object) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise asyncpg.InterfaceError("the underlying connection is closed") from None  # as asyncpg does

    writer = Writer(pool)
    monkeypatch.setattr(writer, "_commit", break_while_cancelled)  # the moment cannot be met otherwise
    writing = asyncio.create_task(writer.write([crossing()]))
    await asyncio.sleep(0)

    writing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await writing


async def test_tables_that_are_not_there_yet_are_waited_for(pool: asyncpg.Pool, stored: Stored) -> None:
    await pool.execute("ALTER TABLE count_minute RENAME TO elsewhere")
    writer = Writer(pool)
    writing = asyncio.create_task(writer.write([crossing()]))
    await until_away(writer)

    assert writer.problem is not None
    assert "python -m services.persistence.migrate" in writer.problem

    await pool.execute("ALTER TABLE elsewhere RENAME TO count_minute")
    assert (await writing).new == 1
    assert len(await stored.ids()) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(
            asyncpg.DiskFullError("no space left\non device"), "no space left on device: free some", id="disk"
        ),
        pytest.param(ConnectionRefusedError(111, "refused"), "refused", id="refused"),
        pytest.param(TimeoutError(), "TimeoutError", id="an error without words"),
    ],
)
def test_failure_is_said_in_one_line_with_what_to_do(error: Exception, words: str) -> None:
    assert words in in_words(error)
    assert "\n" not in in_words(error)
