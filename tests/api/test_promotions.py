"""The API shows a promoted run's counts in the promoted stretch, at once, until the promotion is revoked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx

from contracts.identity import LIVE, Direction, to_ns
from services.api.promotions.repository import PromotedPeriod, promote, revoke
from services.kit.settings import ServiceSettings
from tests.api.served import BROWSER, Served, serving, until_ready
from tests.persistence.builders import crossing

URL = "/v1/stores/shop/counts"
QUARTER = timedelta(minutes=15)


@asynccontextmanager
async def command_line(served: Served) -> AsyncIterator[asyncpg.Connection]:
    """The database as the command line has it: with the api's rights."""
    connection = await asyncpg.connect(served.database_url)
    try:
        yield connection
    finally:
        connection.terminate()


def stretch(since: datetime, until: datetime) -> PromotedPeriod:
    return PromotedPeriod("shop", "door", "entrance", to_ns(since), to_ns(until))


async def count(served: Served, run: str, *moments: datetime, direction: Direction = Direction.IN) -> None:
    await served.count(
        *(crossing(seq, at=at, run=run, direction=direction, session=run) for seq, at in enumerate(moments))
    )


async def day(served: Served, **params: str) -> dict[str, Any]:  # any JSON
    answer = await served.client.get(URL, params=params)
    assert answer.status_code == 200
    shown: dict[str, Any] = answer.json()
    return shown


def busy(shown: dict[str, Any], kind: str) -> list[tuple[str, int, int]]:
    return [(one["start"], one["in"], one["out"]) for one in shown["buckets"][kind] if one["in"] or one["out"]]


async def test_a_day_is_the_runs_in_the_promoted_stretch_by_line_hour_and_in_all(served: Served) -> None:
    await served.set_up(time_zone="Africa/Tunis")
    eight = served.clock().replace(hour=7, minute=0)  # in Tunis
    await count(served, LIVE, eight, eight + QUARTER, eight + 4 * QUARTER)
    await served.count(crossing(9, at=eight, line="lift"))
    await count(served, "moved", *[eight + QUARTER * n for n in (0, 1, 1, 1, 4, 4)], direction=Direction.OUT)

    before = await day(served)
    async with command_line(served) as connection:
        number = await promote(connection, "moved", stretch(eight + QUARTER, eight + 4 * QUARTER), "anna", "moved")
        promoted = await day(served)
        run = await day(served, run="moved")
        await revoke(connection, number, "anna")

    assert busy(before, "hour") == [("2026-11-23T08:00:00+01:00", 3, 0), ("2026-11-23T09:00:00+01:00", 1, 0)]
    assert busy(promoted, "quarter") == [
        ("2026-11-23T08:00:00+01:00", 2, 0),
        ("2026-11-23T08:15:00+01:00", 0, 3),
        ("2026-11-23T09:00:00+01:00", 1, 0),
    ]
    assert busy(promoted, "hour") == [("2026-11-23T08:00:00+01:00", 2, 3), ("2026-11-23T09:00:00+01:00", 1, 0)]
    assert promoted["totals"] == {
        "in": 3,
        "out": 3,
        "lines": [
            {"camera": "door", "line": "entrance", "in": 2, "out": 3},
            {"camera": "door", "line": "lift", "in": 1, "out": 0},
        ],
    }
    assert promoted["now"]["inside"] == 0
    assert run["totals"]["out"] == 6
    revision = before["now"]["revision"]
    assert promoted["now"]["revision"] == revision + 1
    assert await day(served) == {**before, "now": {**before["now"], "revision": revision + 2}}


async def test_a_stretch_through_the_night_in_which_clocks_go_back(served: Served) -> None:
    await served.set_up(time_zone="Europe/Paris")
    midnight = datetime(2026, 10, 24, 22, tzinfo=UTC)  # in Paris; the day has 25 hours
    hours = [midnight + timedelta(hours=n, minutes=5) for n in range(-2, 28)]
    await count(served, LIVE, *hours)
    await count(served, "night", *(hour for hour in hours for _ in range(2)))
    async with command_line(served) as connection:
        await promote(
            connection, "night", stretch(midnight + timedelta(hours=2), hours[-1].replace(minute=0)), "anna", ""
        )

    saturday, sunday, monday = [await day(served, day=f"2026-10-{name}") for name in (24, 25, 26)]

    assert [one["in"] for one in sunday["buckets"]["hour"]] == [1, 1, *[2] * 23]
    assert [start for start, *_ in busy(sunday, "hour")][1:5] == [
        "2026-10-25T01:00:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]
    assert (saturday["totals"]["in"], sunday["totals"]["in"], monday["totals"]["in"]) == (2, 48, 2 + 2 + 1)


async def test_totals_of_a_day_equal_those_of_the_live_stream(served: Served) -> None:
    await served.set_up(time_zone="Asia/Kathmandu")
    midnight = datetime(2026, 11, 22, 18, 15, tzinfo=UTC)  # in Kathmandu
    await count(served, LIVE, *(midnight + timedelta(minutes=17 * (n - 4)) for n in range(40)))
    await count(served, "moved", *(midnight + timedelta(minutes=7 * (n - 4)) for n in range(60)))
    async with command_line(served) as connection:
        await promote(connection, "moved", stretch(midnight - 4 * QUARTER, midnight + 9 * QUARTER), "anna", "")
        await promote(connection, "night", stretch(midnight + 2 * QUARTER, midnight + 4 * QUARTER), "anna", "")

        counts = (await served.client.get("/v1/stores")).json()[0]["counts"]
        shown = await day(served)

    assert (shown["totals"]["in"], shown["totals"]["lines"]) == (counts["in"], counts["lines"])
    assert shown["totals"]["in"] == sum(one["in"] for one in shown["buckets"]["quarter"])
    assert shown["totals"]["in"] not in {0, 40}


async def test_dashboards_take_a_promotion_and_its_revocation_at_once(
    served: Served, settings: ServiceSettings
) -> None:
    """Told by the database: this API reads the versions of its stores by itself only every minute."""
    await served.set_up()
    now = served.clock().replace(minute=15)
    await count(served, LIVE, now)
    await count(served, "moved", now, now, now)
    async with (
        serving(settings, served.database_url, served.clock, reread_seconds=60) as parts,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{parts.settings.port}", timeout=5, headers=BROWSER) as client,
    ):
        await until_ready(client)
        async with replace(served, client=client, parts=parts).follow() as stream, command_line(served) as connection:
            first = await stream.next("snapshot")
            number = await promote(connection, "moved", stretch(now, now + QUARTER), "anna", "")
            promoted = await stream.next("counts")
            await revoke(connection, number, "anna")
            revoked = await stream.next("counts")

    assert [first.data["store"]["counts"]["in"], promoted.data["in"], revoked.data["in"]] == [1, 3, 1]
    assert [first.id, promoted.id, revoked.id] == ["1", "2", "3"]


async def test_what_persistence_announces_is_corrected_too(served: Served) -> None:
    await served.set_up()
    now = served.clock().replace(minute=15)
    await count(served, "moved", now, now, now)
    async with command_line(served) as connection:
        await promote(connection, "moved", stretch(now, now + QUARTER), "anna", "")
    await served.cross([50], at=now + QUARTER)

    counts = await served.announce()

    assert (counts.in_, counts.revision) == (4, 2)
