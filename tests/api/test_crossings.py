"""`GET /v1/stores/{store}/crossings`: the newest first, page by page, each once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.asked import Asked
from tests.persistence.builders import crossing

URL = "/v1/stores/shop/crossings"
NOW = datetime(2026, 11, 23, 8, 20, tzinfo=UTC)  # the clock's


async def test_crossings_are_listed_with_their_local_times_the_newest_first(asked: Asked) -> None:
    await asked.set_up(time_zone="Europe/Paris")
    await asked.count(*[crossing(n, at=NOW - timedelta(minutes=n)) for n in range(3)])

    page = await asked.get(URL)

    assert [item["at"] for item in page["items"]] == [f"2026-11-23T09:{minute}:00+01:00" for minute in (20, 19, 18)]
    assert page["items"][0] | {"id": ""} == {
        "id": "", "at": "2026-11-23T09:20:00+01:00", "camera": "door", "line": "entrance", "direction": "in",
        "place": 0.5, "model": "person-detection-0200",
    }  # fmt: skip
    assert page["next"] is None


async def test_pages_hold_each_crossing_once_also_of_one_moment(asked: Asked) -> None:
    await asked.set_up()
    made = [crossing(n, at=NOW - timedelta(minutes=n // 4)) for n in range(30)]
    await asked.count(*made)

    seen: list[str] = []
    page = await asked.get(URL, limit=7)
    seen += [item["id"] for item in page["items"]]
    await asked.count(crossing(99, at=NOW + timedelta(seconds=1)))  # one more is no reason to repeat or skip another
    while page["next"]:
        page = await asked.get(URL, limit=7, cursor=page["next"])
        seen += [item["id"] for item in page["items"]]

    assert len(seen) == 30
    assert set(seen) == {str(each.id) for each in made}


async def test_those_of_a_camera_or_a_line(asked: Asked) -> None:
    await asked.set_up()
    await asked.count(
        *(
            crossing(n, at=NOW, camera=camera, line=line)
            for n, (camera, line) in enumerate([("a", "x"), ("a", "y"), ("b", "x")])
        )
    )

    by_camera, by_line = await asked.get(URL, camera="a"), await asked.get(URL, line="x")

    assert {(item["camera"], item["line"]) for item in by_camera["items"]} == {("a", "x"), ("a", "y")}
    assert {(item["camera"], item["line"]) for item in by_line["items"]} == {("a", "x"), ("b", "x")}


async def test_only_those_of_the_stores_own_dates(asked: Asked) -> None:
    await asked.set_up(time_zone="Europe/Paris")
    midnight = datetime(2026, 11, 22, 23, tzinfo=UTC)
    await asked.count(crossing(1, at=midnight - timedelta(seconds=1)), crossing(2, at=midnight))

    assert len((await asked.get(URL))["items"]) == 1
    assert len((await asked.get(URL, from_="2026-11-22", to="2026-11-22"))["items"]) == 1


@pytest.mark.parametrize("cursor", ["x", "MjAyNi0xMS0yMw", "bm90IGEgdGltZSBub3QgYW4gaWQ", "%00", "e" * 199])
async def test_a_cursor_of_something_else_is_refused(asked: Asked, cursor: str) -> None:
    await asked.set_up()

    await asked.refused(URL, cursor=cursor)
