"""`crossings.csv` and `footfall.csv`: what is exported is what is told, however much it is."""

from __future__ import annotations

import asyncio
import csv
import io
import socket
from datetime import UTC, date, datetime, timedelta

import asyncpg
import httpx
import pytest

from contracts.identity import LIVE
from services.api.history.export import PIECES, crossings_csv
from services.api.history.period import DateRange
from services.api.history.repository import exporting
from services.kit.database.tables import Store
from tests.api.asked import Asked
from tests.api.served import BROWSER, BUFFER, PATIENCE, Served

CROSSINGS, FOOTFALL = "/v1/stores/shop/crossings.csv", "/v1/stores/shop/footfall.csv"
MANY = 60_000
DAY = date(2026, 11, 20)

_MANY = f"""
INSERT INTO crossing (run, id, at, at_ns, store, camera, line, line_revision, direction, session, seq, place,
                      spec_revision)
SELECT 'live', md5(n::text)::uuid, timestamptz '{DAY} 00:00Z' + n * interval '1 second', 0, 'shop', 'door', 'entrance',
       1, 'in', 's1', n, 0.5, 1 FROM generate_series(1, {MANY}) n
"""


async def export(asked: Asked, url: str, **query: object) -> list[dict[str, str]]:
    answer = await asked.client.get(url, params={name.rstrip("_"): str(value) for name, value in query.items()})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8"), answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


async def many(pool: asyncpg.Pool) -> None:
    """More crossings than lie in the API and in the buffers of its connections (`BUFFER`)."""
    await pool.execute(
        "CREATE TABLE crossing_y2026m11 PARTITION OF crossing FOR VALUES FROM ('2026-11-01') TO ('2026-12-01')"
    )
    await pool.execute(_MANY)


class TestCrossings:
    async def test_in_the_order_of_time_with_the_stores_local_times(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Europe/Paris")
        back = datetime(2026, 10, 25, 1, tzinfo=UTC)
        for minutes in (61, -61, 0, -1):
            await asked.cross(1, at=back + timedelta(minutes=minutes))
        await asked.cross(0, 1, at=back, line="lift")
        await asked.cross(5, at=back, store="bakery")
        await asked.cross(5, at=back, run="moved-line")
        await asked.cross(5, at=back + timedelta(days=1))

        rows = await export(asked, CROSSINGS, from_="2026-10-25", to="2026-10-25")

        assert [(row["at"], row["line"], row["direction"]) for row in rows][:2] == [
            ("2026-10-25T01:59:00.000+02:00", "entrance", "in"),
            ("2026-10-25T02:59:00.000+02:00", "entrance", "in"),
        ]
        assert sorted((row["at"], row["line"], row["direction"]) for row in rows[2:4]) == [
            ("2026-10-25T02:00:00.000+01:00", "entrance", "in"),
            ("2026-10-25T02:00:00.000+01:00", "lift", "out"),
        ]
        assert rows[4]["at"] == "2026-10-25T03:01:00.000+01:00"
        assert len(rows) == 5
        assert rows[0] | {"id": ""} == {
            "at": "2026-10-25T01:59:00.000+02:00", "store": "shop", "camera": "door", "line": "entrance",
            "direction": "in", "place": "0.5", "id": "", "line_revision": "1", "model": "person-detection-0200",
        }  # fmt: skip

    async def test_months_follow_each_other(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Pacific/Apia")
        turns = [datetime(2025, month, 1, tzinfo=UTC) for month in (10, 11, 12)] + [datetime(2026, 1, 1, tzinfo=UTC)]
        moments = [turn + timedelta(minutes=minutes) for turn in turns for minutes in (-1, 0, 1)]
        for moment in reversed(moments):
            await asked.cross(1, at=moment)

        rows = await export(asked, CROSSINGS, from_="2025-09-30", to="2026-01-02")

        assert [datetime.fromisoformat(row["at"]) for row in rows] == moments

    async def test_a_day_without_a_crossing_is_a_header(self, asked: Asked) -> None:
        await asked.set_up()
        answer = await asked.client.get(CROSSINGS)

        assert answer.text == "at,store,camera,line,direction,place,id,line_revision,model\n"
        assert answer.headers["content-disposition"] == (
            'attachment; filename="shop-crossings-2026-11-23-2026-11-23.csv"'
        )

    async def test_however_many(self, asked: Asked) -> None:
        await asked.set_up()
        await many(asked.pool)

        rows = await export(asked, CROSSINGS, from_=DAY, to=DAY)

        assert [int(row["at"][11:13]) for row in rows] == sorted(int(row["at"][11:13]) for row in rows)
        assert len({row["id"] for row in rows}) == MANY

    async def test_no_more_lies_ready_than_somebody_takes(self, asked: Asked) -> None:
        await asked.set_up()
        await many(asked.pool)
        shop = Store(id="shop", organization="default", name="Shop")

        async with exporting(asked.database_url) as connection:
            pieces = crossings_csv(connection, LIVE, shop, DateRange(DAY, DAY))
            await anext(pieces)
            taken = [await anext(pieces) for _ in range(2)]
            for _ in range(100):  # nothing is taken, and the database has all the time there is
                await asyncio.sleep(0)
            left = sum([len(piece) async for piece in pieces])

        size = max(len(piece) for piece in taken)
        assert left > 2 * PIECES * size, "there was more than may lie ready"

    async def test_who_goes_away_leaves_nothing_behind(self, served: Served) -> None:
        await served.set_up()
        await many(served.pool)

        slow = httpx.AsyncHTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)])
        async with (
            httpx.AsyncClient(
                transport=slow, base_url=served.client.base_url, timeout=PATIENCE, headers=BROWSER
            ) as client,
            client.stream("GET", CROSSINGS, params={"from": str(DAY), "to": str(DAY)}) as answer,
        ):
            pieces = answer.aiter_bytes(100)  # held: httpx hangs up where nobody holds it any more
            await anext(pieces)
            async with asyncio.timeout(5):
                while await exports(served.pool) != 1:  # the header may be here before the database is asked
                    await served.client.get("/livez")
        async with asyncio.timeout(5):
            while await exports(served.pool):
                await served.client.get("/livez")
        for _ in range(served.parts.settings.max_exports + 1):
            assert (await served.client.get(CROSSINGS)).status_code == 200


async def exports(pool: asyncpg.Pool) -> int:
    """The number of connections that export from this test's database."""
    return int(
        await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'metrica-export' AND datname = current_database()"
        )
    )


class TestFootfall:
    @pytest.mark.parametrize("bucket", ["15m", "hour", "day", "week", "month"])
    @pytest.mark.parametrize("by", ["total", "line"])
    async def test_it_is_what_the_api_tells(self, asked: Asked, bucket: str, by: str) -> None:
        await asked.set_up(time_zone="Europe/Paris")
        for day, line in ((1, "left"), (25, "right"), (31, "left")):
            await asked.cross(day, 2, at=datetime(2026, 10, day, 0, 40, tzinfo=UTC), line=line)
        period = {"from_": "2026-10-20", "to": "2026-10-31", "bucket": bucket, "by": by}

        told = await asked.get("/v1/stores/shop/footfall", **period)
        rows = await export(asked, FOOTFALL, **period)

        assert [tuple(row.values()) for row in rows] == [
            (
                one["start"],
                one["end"],
                one["label"],
                "",
                series["camera"] or "",
                series["line"] or "",
                str(one["in"]),
                str(one["out"]),
                "" if one["covered"] is None else str(one["covered"]),
            )
            for series in told["series"]
            for one in series["buckets"]
        ]

    async def test_a_year_of_quarter_hours(self, asked: Asked) -> None:
        await asked.set_up(time_zone="America/St_Johns")
        for month in range(1, 13):
            await asked.cross(month, at=datetime(2025, month, 9, 15, tzinfo=UTC))

        rows = await export(asked, FOOTFALL, from_="2025-01-01", to="2025-12-31", bucket="15m")

        assert len(rows) == 365 * 96
        assert sum(int(row["in"]) for row in rows) == sum(range(1, 13))


class TestRefusals:
    async def test_an_unknown_store_and_a_wrong_period(self, asked: Asked) -> None:
        await asked.set_up()
        for name in ("crossings.csv", "footfall.csv"):
            assert (await asked.client.get(f"/v1/stores/nowhere/{name}")).status_code == 404
            assert "is after" in await asked.refused(f"/v1/stores/shop/{name}", from_="2026-11-24", to="2026-11-23")
