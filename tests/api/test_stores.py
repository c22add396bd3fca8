"""`GET /v1/stores`."""

from __future__ import annotations

from contracts.identity import Direction
from tests.api.served import Served


async def test_all_stores_with_cameras_lines_and_totals(served: Served) -> None:
    await served.set_up("door", store="shop", store_name="B shop", time_zone="Africa/Tunis", name="Front door")
    await served.set_up("gate", store="mall", store_name="A mall", time_zone="Europe/Paris")
    await served.cross([1, 2])
    await served.cross([3], Direction.OUT)

    mall, shop = (await served.client.get("/v1/stores")).json()

    assert (mall["name"], mall["time_zone"], mall["counts"]["in"]) == ("A mall", "Europe/Paris", 0)
    assert (shop["counts"]["in"], shop["counts"]["out"], shop["counts"]["inside"]) == (2, 1, 1)
    assert shop["counts"]["lines"] == [{"camera": "door", "line": "entrance", "in": 2, "out": 1}]
    (camera,) = shop["cameras"]
    assert (camera["name"], camera["model"], camera["policy"], camera["state"]) == (
        "Front door",
        "motion",
        "latest",
        None,
    )
    assert (camera["lines"][0]["x1"], camera["lines"][0]["in_side"]) == (0.5, "right")


async def test_a_source_address_never_leaves_the_api(served: Served) -> None:
    await served.set_up(address="rtsp://admin:secret@camera/stream")
    async with served.follow() as stream:
        snapshot = await stream.next("snapshot")

    assert "secret" not in (await served.client.get("/v1/stores")).text
    assert "secret" not in str(snapshot.data)


async def test_without_stores_the_list_is_empty(served: Served) -> None:
    assert (await served.client.get("/v1/stores")).json() == []


async def test_an_unknown_time_zone_in_the_database_stops_nothing(served: Served) -> None:
    await served.set_up()
    await served.pool.execute("UPDATE store SET time_zone = 'Mars/Olympus'")

    assert (await served.client.get("/v1/stores")).json()[0]["counts"]["day"] == "2026-11-23"
