"""`/v1/stores/{store}/occupancy`: one definition, live and over the day."""

from __future__ import annotations

import random
from datetime import UTC, datetime, time, timedelta
from typing import Any

import asyncpg
import pytest

from contracts.identity import LIVE, Direction
from services.kit.database.totals import totals
from tests.api.asked import Asked
from tests.api.served import Served
from tests.persistence.builders import crossing

URL = "/v1/stores/shop/occupancy"
NOW = datetime(2026, 11, 23, 8, 20, tzinfo=UTC)  # the clock's
MIDNIGHT = datetime(2026, 11, 22, 23, tzinfo=UTC)  # in Tunis


async def correct(asked: Asked, people: int) -> dict[str, Any]:
    answer = await asked.client.post(f"{URL}/corrections", json={"inside": people})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def curve(asked: Asked, **query: object) -> dict[str, int]:
    """The number of people inside at the end of each piece of the day, where it changed."""
    buckets = (await asked.get(URL, **query))["buckets"]
    changed = {}
    before = 0
    for one in buckets:
        if one["inside"] != before:
            changed[one["label"][11:]] = before = one["inside"]
    return changed


class TestNow:
    async def test_ins_minus_outs_since_the_reset(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Africa/Tunis", capacity=40)
        await asked.cross(50, at=MIDNIGHT - timedelta(seconds=1))
        await asked.cross(5, 2, at=MIDNIGHT + timedelta(hours=9))

        occupancy = await asked.get(URL)

        assert (occupancy["now"]["inside"], occupancy["capacity"], occupancy["reset"]) == (3, 40, "00:00:00")
        assert (occupancy["now"]["since"], occupancy["now"]["corrected"]) == ("2026-11-23T00:00:00+01:00", False)

    async def test_a_store_that_is_open_past_midnight_has_its_reset_later(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Africa/Tunis", occupancy_reset=time(4))
        await asked.cross(9, at=MIDNIGHT - timedelta(hours=2))
        await asked.cross(0, 4, at=MIDNIGHT + timedelta(hours=1))

        asked.clock.now = MIDNIGHT + timedelta(hours=3, minutes=59)
        night = await asked.get(URL)
        asked.clock.now = MIDNIGHT + timedelta(hours=4)
        morning = await asked.get(URL)

        assert (night["now"]["inside"], night["now"]["since"]) == (5, "2026-11-22T04:00:00+01:00")
        assert (morning["now"]["inside"], morning["now"]["since"]) == (0, "2026-11-23T04:00:00+01:00")
        assert (await asked.get("/v1/stores/shop/counts"))["totals"]["out"] == 4, "the day itself began at midnight"

    async def test_nobody_is_inside_less_than_nobody(self, asked: Asked) -> None:
        await asked.set_up()
        await asked.cross(1, 4, at=NOW)

        assert (await asked.get(URL))["now"]["inside"] == 0

    async def test_live_and_history_say_the_same_at_any_moment(self, asked: Asked) -> None:
        """Crossings, corrections and resets through four days: the live total is the end of history's last quarter."""
        reset = time(3, 30)
        await asked.set_up(time_zone="America/St_Johns", occupancy_reset=reset)
        rng, start = random.Random(5), datetime(2026, 10, 30, 12, tzinfo=UTC)  # clocks go back on the 1st
        moments = sorted(start + timedelta(days=4) * rng.random() for _ in range(60))

        for n, moment in enumerate(moments):
            asked.clock.now = moment
            if n % 6 == 5:
                assert (await correct(asked, n))["inside"] == n
            await asked.cross(rng.randint(0, 4), rng.randint(0, 3), at=moment + timedelta(seconds=1))
            asked.clock.now = moment + timedelta(seconds=rng.randint(1, 1200))
            occupancy, live = await asked.get(URL), await totals(asked.pool, LIVE, "shop", asked.clock())
            assert occupancy["now"]["inside"] == occupancy["buckets"][-1]["inside"] == live.inside, n


class TestDay:
    async def test_over_the_day_until_now(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Africa/Tunis")
        for hour, ins, outs in ((6, 4, 0), (7, 3, 2), (8, 0, 4)):
            await asked.cross(ins, outs, at=MIDNIGHT + timedelta(hours=hour, minutes=50))

        occupancy = await asked.get(URL)

        assert await curve(asked) == {"06:45": 4, "07:45": 5, "08:45": 1}
        assert await curve(asked, bucket="hour") == {"06:00": 4, "07:00": 5, "08:00": 1}
        assert (occupancy["peak"]["label"], occupancy["peak"]["inside"]) == ("2026-11-23T07:45", 5)
        assert len(occupancy["buckets"]) == 9 * 4 + 2, "until the running quarter hour: it is 09:20"

    async def test_a_day_that_is_over_and_one_to_come(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Europe/Paris")
        await asked.cross(2, at=datetime(2026, 10, 25, 0, 30, tzinfo=UTC))

        over = await asked.get(URL, day="2026-10-25", bucket="hour")
        to_come = await asked.get(URL, day="2026-12-25")

        assert [one["inside"] for one in over["buckets"]] == [0, 0, *[2] * 23]
        assert (to_come["buckets"], to_come["peak"]) == ([], None)

    async def test_the_evening_goes_on_past_midnight_until_the_reset(self, asked: Asked) -> None:
        await asked.set_up(occupancy_reset=time(4))
        await asked.cross(3, at=datetime(2026, 11, 21, 23, tzinfo=UTC))

        assert await curve(asked, day="2026-11-22", bucket="hour") == {"00:00": 3, "04:00": 0}


class TestCorrection:
    async def test_people_are_counted_on_from_what_was_said(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Africa/Tunis")
        await asked.cross(5, at=NOW - timedelta(minutes=1))

        now = await correct(asked, 12)
        await asked.cross(2, 1, at=NOW + timedelta(seconds=2))
        await asked.cross(100, at=NOW - timedelta(minutes=2))  # comes late: it was seen by who counted
        asked.clock.now += timedelta(minutes=20)
        occupancy = await asked.get(URL)

        assert (now["inside"], now["since"], now["corrected"]) == (12, "2026-11-23T09:20:00+01:00", True)
        assert occupancy["now"]["inside"] == 13
        assert occupancy["corrections"] == [
            {"at": "2026-11-23T09:20:00+01:00", "inside": 12, "counted": 5, "who": "somebody at this machine"}
        ]
        assert [one["inside"] for one in occupancy["buckets"]][-2:] == [13, 13]

    async def test_the_last_word_counts_until_the_reset(self, asked: Asked) -> None:
        await asked.set_up(time_zone="Africa/Tunis")
        await correct(asked, 12)
        asked.clock.now += timedelta(seconds=5)
        await correct(asked, 3)
        assert (await asked.get(URL))["now"]["inside"] == 3

        asked.clock.now = MIDNIGHT + timedelta(days=1)

        assert (await asked.get(URL))["now"] == {
            "inside": 0, "at": "2026-11-24T00:00:00+01:00", "since": "2026-11-24T00:00:00+01:00", "corrected": False,
        }  # fmt: skip
        assert await curve(asked, day="2026-11-23") == {"09:15": 3}

    async def test_a_correction_is_of_one_store_and_of_no_replay(self, asked: Asked) -> None:
        await asked.set_up()
        await asked.set_up("bakery")
        await correct(asked, 12)

        assert (await asked.get("/v1/stores/bakery/occupancy"))["now"]["inside"] == 0
        assert (await totals(asked.pool, "moved-line", "shop", NOW)).inside == 0

    @pytest.mark.parametrize("said", [{"inside": -1}, {"inside": "many"}, {}, {"inside": 3, "at": "2026-11-23"}])
    async def test_what_is_no_number_of_people_is_refused(self, asked: Asked, said: dict[str, object]) -> None:
        await asked.set_up()
        answer = await asked.client.post(f"{URL}/corrections", json=said)

        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")

    async def test_the_api_cannot_change_what_was_said(self, asked: Asked) -> None:
        await asked.set_up()
        await correct(asked, 12)
        connection = await asyncpg.connect(asked.database_url)
        try:
            for forbidden in ("UPDATE occupancy_correction SET inside = 0", "DELETE FROM occupancy_correction"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(forbidden)
        finally:
            await connection.close()


class TestLive:
    async def test_a_correction_is_a_new_snapshot(self, served: Served, superadmin_headers: dict[str, str]) -> None:
        await served.set_up()
        async with served.follow() as stream:
            await stream.next("snapshot")
            await served.client.post(f"{URL}/corrections", json={"inside": 7}, headers=superadmin_headers)
            first = await stream.next("snapshot")
            while first.data["store"]["counts"]["inside"] != 7:  # the one of the set-up may come between
                first = await stream.next("snapshot")
            await served.count(crossing(1, at=served.clock() + timedelta(seconds=1), direction=Direction.OUT))
            await served.announce()

            assert (await stream.next("counts")).data["inside"] == 6

    async def test_the_reset_is_a_new_snapshot(self, served: Served) -> None:
        await served.set_up(time_zone="Africa/Tunis")
        await served.pool.execute("UPDATE store SET occupancy_reset = '04:00'")
        served.clock.now = MIDNIGHT + timedelta(hours=3, minutes=59, seconds=59)
        await served.cross([1, 2])
        async with served.follow() as stream:
            night = await stream.next("snapshot")
            served.clock.now += timedelta(seconds=1)
            while (morning := await stream.next("snapshot")).data["store"]["counts"]["inside"]:
                pass

        assert [one.data["store"]["counts"]["in"] for one in (night, morning)] == [2, 2]
        assert night.data["store"]["counts"]["inside"] == 2
