"""`metrica promote`: a run's counts in the place of the live ones, who did it, and back; no count is changed by it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from contracts.identity import LIVE, to_ns
from contracts.runs import Run, RunCamera, RunKind, RunState
from contracts.spec import CountingLine
from contracts.streams import Owner
from infra.local.processes.nats import DEVELOPER, NatsServer
from services.kit.database.totals import totals
from services.kit.nats.run_entries import create_run
from services.kit.settings import ServiceSettings
from services.persistence.app import open_pool
from services.persistence.writer import Writer
from tests.cli.command import Outcome, metrica
from tests.persistence.builders import crossing
from tests.support.broker import connected

NINE = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
"""In Tunis."""
QUARTER = timedelta(minutes=15)
COUNTED = ("crossing", "count_minute", "count_quarter", "count_day", "session_count", "run_session")
RUN = Run(
    name="moved",
    kind=RunKind.PATHS,
    cameras=(RunCamera(camera="door", store="shop"),),
    since=to_ns(NINE + timedelta(minutes=4)),
    until=to_ns(NINE + timedelta(minutes=70)),
    created_at=to_ns(NINE),
    lines=(CountingLine(id="entrance", revision=2, x1=0.4, y1=0, x2=0.4, y2=1),),
    state=RunState.FINISHED,
)


@pytest.fixture(autouse=True)
async def pool(
    settings: ServiceSettings,
    nats_server: NatsServer,
    database_url: str,
    api_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[asyncpg.Pool]:
    """Two hours counted live, a person in each quarter; a run that counted two; the rights that a person here has."""
    for name, value in nats_server.environment(DEVELOPER).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("METRICA_DATABASE_URL", api_database_url)
    async with open_pool(database_url) as pool, connected(settings, Owner.API) as bus:
        await pool.execute("INSERT INTO organization VALUES ('chain', 'Chain')")
        await pool.execute("INSERT INTO store VALUES ('shop', 'chain', 'Shop', 'Africa/Tunis')")
        quarters = [NINE + QUARTER * n for n in range(8)]
        live = [crossing(n, at=at) for n, at in enumerate(quarters)]
        run = [crossing(n, at=quarters[n // 2], run="moved") for n in range(16)]
        await Writer(pool).write([*live, *run])
        await create_run(bus, RUN)
        await create_run(bus, RUN.model_copy(update={"name": "busy", "state": RunState.RUNNING}))
        await create_run(bus, RUN.model_copy(update={"name": "brief", "until": to_ns(NINE + timedelta(minutes=14))}))
        yield pool


async def promote(*arguments: str) -> Outcome:
    return await asyncio.to_thread(metrica, "promote", *arguments)


async def promoted(*arguments: str) -> str:
    outcome = await promote("moved", "--camera", "door", "--line", "entrance", *arguments)
    assert outcome.code == 0, outcome
    return outcome.out


async def listed() -> list[dict[str, Any]]:  # any JSON
    found: list[dict[str, Any]] = json.loads((await promote("--list", "--json")).out)
    return found


async def live_ins(pool: asyncpg.Pool) -> int:
    return (await totals(pool, LIVE, "shop", NINE)).in_


async def record(pool: asyncpg.Pool) -> dict[str, list[str]]:
    """Everything that was ever counted."""
    return {
        table: [str(row[0]) for row in await pool.fetch(f"SELECT t::text FROM {table} t ORDER BY 1")]
        for table in COUNTED
    }


async def test_a_period_shows_the_run_and_its_revocation_the_live_counts_and_no_count_is_changed(
    pool: asyncpg.Pool,
) -> None:
    before = await record(pool)

    out = await promoted("--from", "2026-11-23T09:15", "--to", "2026-11-23T09:45:00+01:00", "--by", "anna")
    during = await live_ins(pool)
    back = await promote("--revoke", "1", "--by", "bob")

    assert "door/entrance from 2026-11-23T08:15:00Z to 2026-11-23T08:45:00Z\nIN 2 live, 4 in moved" in out
    assert during == 8 + 2
    assert back.out == "promotion 1: revoked\n"
    assert await live_ins(pool) == 8
    assert await record(pool) == before


async def test_without_a_period_it_is_all_whole_quarters_of_the_run(pool: asyncpg.Pool) -> None:
    assert "from 2026-11-23T08:15:00Z to 2026-11-23T09:00:00Z" in await promoted()
    assert await live_ins(pool) == 8 + 3


async def test_every_promotion_stays_on_record_with_who_and_why(pool: asyncpg.Pool) -> None:
    await promoted("--note", "the line lay on the doormat", "--by", "anna")
    await promoted("--to", "2026-11-23T09:30", "--by", "bob")
    await promote("--revoke", "1", "--by", "carla")

    first, second = await listed()

    assert (first["id"], first["who"], first["note"], first["revoked_by"]) == (
        1, "anna", "the line lay on the doormat", "carla",
    )  # fmt: skip
    assert first["revoked_at"] >= first["at"]
    assert (second["who"], second["until"], second["revoked_at"]) == ("bob", "2026-11-23T08:30:00+00:00", None)
    lines = (await promote("--list")).out.splitlines()
    assert [line.split("  ")[:3] for line in lines] == [
        [number, "shop/door/entrance", f"2026-11-23 08:15Z to 2026-11-23 {until}Z"]
        for number, until in (("1", "09:00"), ("2", "08:30"))
    ]
    assert "anna  the line lay on the doormat  revoked" in lines[0]
    assert lines[1].endswith(" bob")


async def test_what_is_promoted_stands_behind_a_newer_one_and_comes_back(pool: asyncpg.Pool) -> None:
    await Writer(pool).write([crossing(n, at=NINE + QUARTER, run="other") for n in range(5)])
    await promoted()
    number = await pool.fetchval(
        "INSERT INTO promotion (store, camera, line, since, until, run, at, who, note)"
        " VALUES ('shop', 'door', 'entrance', $1, $2, 'other', now(), 'anna', '') RETURNING id",
        NINE + QUARTER,
        NINE + 2 * QUARTER,
    )
    shown = await live_ins(pool)

    await promote("--revoke", str(number))

    assert (shown, await live_ins(pool)) == (8 - 3 + 5 + 4, 8 + 3)


REFUSED = (
    ("nobody --camera door --line entrance", "there is no run 'nobody'"),
    ("busy --camera door --line entrance", "is running, not finished"),
    ("brief --camera door --line entrance", "the whole quarters of an hour that run 'brief' has counted are none"),
    ("moved --camera gate --line entrance", "has not counted camera 'gate', but: door"),
    ("moved --camera door --line lift", "has not counted over line 'lift', but: entrance"),
    ("moved --camera door", "name the counts to promote"),
    (
        "moved --camera door --line entrance --from 2026-11-23T09:20",
        "as in 2026-11-23T08:15:00Z or 2026-11-23T08:30",
    ),
    ("moved --camera door --line entrance --from 2026-11-23T09:00", "are from 2026-11-23T08:15:00Z to"),
    ("moved --camera door --line entrance --to 2026-11-23T10:15", "cannot be promoted"),
    ("moved --camera door --line entrance --from yesterday", "give a time"),
    ("moved --list", "name the run to promote, or give --list"),
    ("", "name the run to promote, or give --list"),
    ("--revoke 7", "there is no promotion 7 in force"),
)


async def test_what_cannot_be_promoted_says_why(pool: asyncpg.Pool) -> None:
    for arguments, said in REFUSED:
        outcome = await promote(*arguments.split())
        assert (outcome.code, said in outcome.err) == (2, True), (arguments, outcome)

    assert await pool.fetchval("SELECT count(*) FROM promotion") == 0


async def test_a_promotion_is_taken_back_once(pool: asyncpg.Pool) -> None:
    await promoted()

    assert [(await promote("--revoke", "1")).code for _ in range(2)] == [0, 2]


async def test_a_run_that_is_shown_is_not_dropped(pool: asyncpg.Pool) -> None:
    await promoted()

    outcome = await asyncio.to_thread(metrica, "runs", "drop", "moved")

    assert outcome.code == 2
    assert "`metrica promote --revoke 1` revokes that" in outcome.err
    assert await pool.fetchval("SELECT count(*) FROM crossing WHERE run = 'moved'") == 16


async def test_where_nothing_was_promoted_the_list_says_so(pool: asyncpg.Pool) -> None:
    assert (await promote("--list")).out == "There are no promotions: all reports show the live counts.\n"
