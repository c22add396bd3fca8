"""`metrica recount`, on paths that a tracker at work has published: what it shows, and what it keeps as a run."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from contracts.events import Crossing
from contracts.identity import LIVE, to_datetime, to_ns
from contracts.runs import RunKind, RunState
from contracts.spec import CameraSpec, CountingLine, Side, current_key, spec_key
from contracts.streams import CAMERAS, DETECTIONS
from contracts.subjects import detections, paths
from infra.local.processes.nats import DEVELOPER, NatsServer
from services.cli.console.errors import CommandError
from services.cli.console.options import LineWords
from services.cli.replaying.comparison import by_hour
from services.cli.replaying.lines import lines_over
from services.kit.local_time import time_zone_named
from services.kit.nats.bus import Bus
from services.kit.nats.run_entries import find_run
from services.kit.settings import ServiceSettings
from services.replay.ordered_publish import OrderedPublisher
from services.tracker.counting.camera_counter import CameraCounter
from tests.cli.command import Outcome, metrica
from tests.persistence.builders import crossing
from tests.support import hour
from tests.support.at_work import counting
from tests.support.broker import eventually

SCENE = list(hour.seen("door", 60, people_per_min=40, seed=2))
SPEC = hour.spec("door")
LINE = SPEC.lines[0]
MOVED = LINE.model_copy(update={"y1": 0.75, "y2": 0.75, "revision": 2})
DRAWN = f"{LINE.x1},0.75,{LINE.x2},0.75"

Counts = dict[str, int]


def tracked(line: CountingLine) -> list[Crossing]:
    """The crossings that a new tracking counts over a line."""
    counter, spec = CameraCounter(LIVE, SPEC.store, "door"), SPEC.model_copy(update={"lines": (line,)})
    return [crossing for frame in SCENE for crossing in counter.step(frame, spec).crossings]


def counts(crossings: list[Crossing]) -> Counts:
    found = Counter(str(crossing.direction) for crossing in crossings)
    return {"in": found["in"], "out": found["out"]}


@pytest.fixture(autouse=True)
def environment(nats_server: NatsServer, api_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in nats_server.environment(DEVELOPER).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("METRICA_DATABASE_URL", api_database_url)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO organization VALUES ('chain', 'Chain');"
        "INSERT INTO store VALUES ('shop', 'chain', 'Shop', 'Africa/Tunis')"
    )
    yield connection
    connection.terminate()


@pytest.fixture
async def bus(settings: ServiceSettings, database_url: str, connection: asyncpg.Connection) -> AsyncIterator[Bus]:
    """The services at work; a camera was counted live to its end."""
    async with counting(settings, database_url) as bus:
        bucket, publisher = await bus.bucket(CAMERAS), OrderedPublisher(bus, DETECTIONS)
        for key in (spec_key("door", 1), current_key("door")):
            await bucket.put(key, SPEC.model_dump_json().encode())
        for event in SCENE:
            await publisher.publish(detections(LIVE, event.store, event.camera), event.encode(), {})
        await publisher.flush()

        async def ended() -> bool:
            return bool(await connection.fetchval("SELECT count(*) FROM run_session WHERE run = 'live'"))

        await eventually(ended, within=60)
        yield bus


async def recount(*arguments: str) -> Outcome:
    return await asyncio.to_thread(metrica, "recount", "--camera", "door", *arguments)


async def told(*arguments: str) -> dict[str, Any]:  # any JSON
    outcome = await recount(*arguments, "--json")
    assert outcome.code == 0, outcome
    result: dict[str, Any] = json.loads(outcome.out)
    return result


async def rows(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = await connection.fetch("SELECT * FROM crossing ORDER BY run, at, id")
    return found


async def test_a_moved_line_is_shown_beside_the_live_one_by_hour_of_the_store(
    bus: Bus, connection: asyncpg.Connection
) -> None:
    before = await rows(connection)

    same, moved = await told(), await told("--line", DRAWN)
    shown = await recount("--line", DRAWN)

    live, expected = counts(tracked(LINE)), counts(tracked(MOVED))
    assert (same["lines"][0]["live"], same["lines"][0]["recounted"], same["lines"][0]["revision"]) == (live, live, 1)
    (line,) = moved["lines"]
    assert (line["id"], line["live"], line["recounted"], line["revision"]) == ("line", live, expected, 2)
    assert live != expected
    assert line["in_side"] == LINE.in_side.value
    local = to_datetime(SCENE[0].captured_at).astimezone(time_zone_named("Africa/Tunis"))
    assert line["hours"] == [
        {"hour": local.replace(minute=0, second=0, microsecond=0).isoformat(), "live": live, "recounted": expected}
    ]
    assert f"line: IN {live['in']} live, {expected['in']} recounted" in shown.out
    assert "+0100" in shown.out
    assert await rows(connection) == before


async def test_kept_as_a_run_it_is_in_the_database_when_the_command_ends(
    bus: Bus, connection: asyncpg.Connection
) -> None:
    outcome = await recount("--line", DRAWN, "--as", "moved")

    assert outcome.code == 0, outcome
    kept = await connection.fetch("SELECT direction, line_revision, session FROM crossing WHERE run = 'moved'")
    expected = counts(tracked(MOVED))
    assert Counter(row["direction"] for row in kept) == Counter(expected)
    assert {(row["line_revision"], row["session"]) for row in kept} == {(2, SCENE[0].session)}
    assert await connection.fetchval("SELECT count FROM run_session WHERE run = 'moved'") == len(kept)
    assert await connection.fetchval("SELECT sum(ins) FROM count_quarter WHERE run = 'moved'") == expected["in"]
    run = await find_run(bus, "moved")
    assert run is not None
    assert (run.kind, run.state, run.lines) == (RunKind.PATHS, RunState.FINISHED, (MOVED,))

    again = await recount("--line", DRAWN, "--as", "moved")
    assert (again.code, "there is a run 'moved' already" in again.err) == (2, True)


async def test_a_period_counts_who_met_the_line_in_it(bus: Bus) -> None:
    since, until = (SCENE[0].captured_at + seconds * 10**9 for seconds in (21, 43))
    local = [
        to_datetime(moment).astimezone(time_zone_named("Africa/Tunis")).replace(tzinfo=None)
        for moment in (since, until)
    ]

    (line,) = (await told("--since", local[0].isoformat(), "--until", local[1].isoformat()))["lines"]

    expected = counts([one for one in tracked(LINE) if since <= one.at < until])
    assert line["live"] == line["recounted"] == expected
    assert 0 < sum(expected.values()) < len(tracked(LINE))


async def test_what_cannot_be_recounted_says_why(bus: Bus) -> None:
    before = "2020-01-01T00:00:00Z"
    await bus.publish(paths(LIVE, "shop", "door"), b"{")

    outcomes = [
        await recount("--until", before),
        await recount("--line", "lift=0.1,0.5,0.9,0.5"),
        await asyncio.to_thread(metrica, "recount", "--camera", "nowhere"),
        await recount("--line", "0.5,0.5,0.5,0.5"),
        await recount("--as", "live"),
    ]

    assert [outcome.code for outcome in outcomes] == [2] * 5
    assert "no paths of camera 'door' in that period: stored are those from 2025-11-24T" in outcomes[0].err
    assert "give the side of IN" in outcomes[1].err
    assert "there is no camera 'nowhere'" in outcomes[2].err
    assert "shorter than" in outcomes[3].err
    assert "a run can't be called 'live'" in outcomes[4].err
    assert "1 paths cannot be read" in (await recount()).err


class TestLines:
    TWO = CameraSpec(
        store="shop",
        camera="cam",
        revision=4,
        lines=(
            CountingLine(id="front", revision=3, x1=0.5, y1=0, x2=0.5, y2=1, in_name="shop"),
            CountingLine(id="lift", x1=0.2, y1=0, x2=0.2, y2=1),
        ),
    )

    def test_what_is_not_said_stays_as_it_is(self) -> None:
        (line,) = lines_over(self.TWO, LineWords(["front=0.4,0,0.4,1"]))

        assert line == self.TWO.lines[0].model_copy(update={"x1": 0.4, "x2": 0.4, "revision": 5})

    def test_the_same_line_is_the_same_revision(self) -> None:
        assert lines_over(self.TWO, LineWords(["front=0.5,0,0.5,1"]))[0].revision == 3

    def test_without_a_line_it_is_all_that_there_are(self) -> None:
        assert lines_over(self.TWO, LineWords(())) == self.TWO.lines
        assert {line.in_side for line in lines_over(self.TWO, LineWords((), sides=[Side.LEFT]))} == {"left"}

    def test_of_several_lines_it_must_be_said_which(self) -> None:
        with pytest.raises(CommandError, match=r"name the line.*: front, lift"):
            lines_over(self.TWO, LineWords(["0.4,0,0.4,1"]))

    def test_a_new_line_needs_a_side(self) -> None:
        with pytest.raises(CommandError, match="no line 'gate'"):
            lines_over(self.TWO, LineWords(["gate=0.4,0,0.4,1"]))
        (line,) = lines_over(self.TWO, LineWords(["gate=0.4,0,0.4,1"], sides=[Side.LEFT]))
        assert (line.id, line.in_side, line.revision) == ("gate", "left", 5)


def test_an_hour_that_clocks_repeat_is_two() -> None:
    night = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1, 2)]
    crossings = [crossing(seq, at=at) for seq, at in enumerate(night)]

    hours = by_hour([], crossings, time_zone_named("Europe/Paris"))

    assert [one.hour.isoformat() for one in hours] == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]
    assert [to_ns(one.hour) for one in hours] == [to_ns(at.replace(minute=0)) for at in night]
