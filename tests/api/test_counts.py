"""`GET /v1/stores/{store}/counts`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from contracts.identity import Direction
from tests.api.served import Served
from tests.persistence.builders import crossing

URL = "/v1/stores/shop/counts"


async def test_now_today_and_both_kinds_of_buckets(served: Served) -> None:
    await served.set_up(time_zone="Africa/Tunis")
    await served.cross([1, 2])  # 08:20 UTC, 09:20 in Tunis
    await served.cross([3], Direction.OUT, at=served.clock() - timedelta(minutes=20))

    day = (await served.client.get(URL)).json()

    assert (day["day"], day["today"], day["time_zone"]) == ("2026-11-23", True, "Africa/Tunis")
    assert (day["now"]["inside"], day["now"]["revision"]) == (1, 2)
    assert day["now"]["last_at"].startswith("2026-11-23T08:20:00")
    assert (day["totals"]["in"], day["totals"]["out"]) == (2, 1)
    assert day["totals"]["lines"] == [{"camera": "door", "line": "entrance", "in": 2, "out": 1}]
    busy = {
        kind: [(one["start"], one["in"], one["out"]) for one in buckets if one["in"] or one["out"]]
        for kind, buckets in day["buckets"].items()
    }
    assert busy == {
        "quarter": [("2026-11-23T09:00:00+01:00", 0, 1), ("2026-11-23T09:15:00+01:00", 2, 0)],
        "hour": [("2026-11-23T09:00:00+01:00", 2, 1)],
    }
    assert {kind: len(buckets) for kind, buckets in day["buckets"].items()} == {"quarter": 96, "hour": 24}


async def test_a_day_has_the_hours_that_it_has(served: Served) -> None:
    await served.set_up(time_zone="Europe/Paris")
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-23", 24)):
        buckets = (await served.client.get(URL, params={"day": day})).json()["buckets"]
        assert (len(buckets["quarter"]), len(buckets["hour"])) == (4 * hours, hours), day


async def test_a_day_ends_at_the_stores_midnight(served: Served) -> None:
    await served.set_up(time_zone="Europe/Paris")
    midnight = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)  # in Paris
    await served.cross([1], at=midnight - timedelta(seconds=1))
    await served.cross([2, 3], at=midnight)

    yesterday = (await served.client.get(URL, params={"day": "2026-11-22"})).json()
    today = (await served.client.get(URL)).json()

    assert (yesterday["totals"]["in"], yesterday["today"]) == (1, False)
    assert (today["totals"]["in"], today["now"]["inside"]) == (2, 2)


async def test_only_the_buckets_that_were_asked_for(served: Served) -> None:
    await served.set_up()

    answer = await served.client.get(URL, params={"by": "hour"})

    assert list(answer.json()["buckets"]) == ["hour"]


async def test_a_replay_is_counted_apart(served: Served) -> None:
    await served.set_up()
    await served.count(crossing(1, at=served.clock(), run="moved-line"))

    live, replay = [(await served.client.get(URL, params={"run": run})).json() for run in ("live", "moved-line")]

    assert (live["totals"]["in"], replay["totals"]["in"], replay["run"]) == (0, 1, "moved-line")


async def test_totals_of_a_day_equal_those_of_the_live_stream(served: Served) -> None:
    await served.set_up(time_zone="Asia/Kathmandu")
    midnight = datetime(2026, 11, 22, 18, 15, tzinfo=UTC)  # in Kathmandu
    for n in range(40):
        await served.cross([n], list(Direction)[n % 3 == 0], at=midnight + timedelta(minutes=17 * (n - 4)))

    counts = (await served.client.get("/v1/stores")).json()[0]["counts"]
    day = (await served.client.get(URL)).json()

    assert (day["totals"]["in"], day["totals"]["out"]) == (counts["in"], counts["out"])
    for buckets in day["buckets"].values():
        assert sum(one["in"] for one in buckets) == counts["in"]


async def test_bad_parameters_are_named(served: Served) -> None:
    bad = [("day", "yesterday"), ("day", "9999-12-31"), ("day", "0001-01-01"), ("by", "minute"), ("run", "no/run")]
    for name, value in bad:
        answer = await served.client.get(URL, params={name: value})
        assert answer.status_code == 422, value
        assert answer.headers["content-type"] == "application/problem+json"
        assert [one["parameter"].partition(".")[0] for one in answer.json()["invalid"]] == [name]


async def test_an_unknown_store(served: Served) -> None:
    answer = await served.client.get("/v1/stores/nowhere/counts")

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no store 'nowhere'. GET /v1/stores lists them."
