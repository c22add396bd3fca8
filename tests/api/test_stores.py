"""`GET /v1/stores`."""

from __future__ import annotations

import json
from datetime import timedelta

from contracts.events import State, Status
from contracts.identity import LIVE, Direction
from tests.api.served import Served

OPEN_ON_MONDAYS = {"monday": [["09:00", "19:00"]]}


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


async def test_a_store_shows_its_organization_capacity_and_opening_hours(served: Served) -> None:
    await served.set_up(time_zone="Europe/Paris")  # Monday, 09:20 there
    await served.pool.execute(
        "UPDATE store SET capacity = 40, opening_hours = $1, occupancy_reset = '04:00'", json.dumps(OPEN_ON_MONDAYS)
    )

    (shop,) = (await served.client.get("/v1/stores")).json()

    assert (shop["organization"], shop["capacity"], shop["occupancy_reset"]) == ("default", 40, "04:00:00")
    assert shop["opening_hours"]["monday"] == OPEN_ON_MONDAYS["monday"]
    assert (shop["open_now"], shop["opens_at"], shop["closes_at"]) == (
        True,
        "2026-11-30T09:00:00+01:00",
        "2026-11-23T19:00:00+01:00",
    )


async def test_a_store_without_opening_hours_is_neither_open_nor_closed(served: Served) -> None:
    await served.set_up()

    (shop,) = (await served.client.get("/v1/stores")).json()

    assert (shop["open_now"], shop["opens_at"], shop["closes_at"]) == (None, None, None)


async def test_a_store_and_each_line_say_since_when_they_are_counted(served: Served) -> None:
    await served.set_up()
    await served.set_up("gate")
    now = served.clock()
    for line, hours in (("entrance", 2), ("removed", 3)):
        await served.pool.execute(
            "INSERT INTO coverage (run, store, camera, line, start, until) VALUES ('live', 'shop', 'door', $1, $2, $3)",
            line,
            now - timedelta(hours=hours),
            now,
        )

    (shop,) = (await served.client.get("/v1/stores")).json()

    assert shop["counted_since"] == "2026-11-23T05:20:00Z"
    assert [camera["lines"][0]["counted_since"] for camera in shop["cameras"]] == ["2026-11-23T06:20:00Z", None]


async def test_the_list_is_filtered_by_organization(served: Served) -> None:
    await served.set_up()
    await served.set_up("gate", store="mall")
    await served.pool.execute("INSERT INTO organization (id, name, demo) VALUES ('acme', 'Acme', false)")
    await served.pool.execute("UPDATE store SET organization = 'acme' WHERE id = 'mall'")

    listed = (await served.client.get("/v1/stores", params={"organization": "acme"})).json()
    page = (await served.client.get("/v1/stores", params={"organization": "acme", "limit": 5})).json()
    unknown = await served.client.get("/v1/stores", params={"organization": "nobody", "limit": 5})

    assert [store["id"] for store in listed] == ["mall"]
    assert ([store["id"] for store in page["items"]], page["next"]) == (["mall"], None)
    assert unknown.status_code == 404


async def test_the_list_has_pages_where_they_are_asked_for(served: Served) -> None:
    for store in ("a", "b", "c"):
        await served.set_up(f"door-{store}", store=store)

    first = (await served.client.get("/v1/stores", params={"limit": 2})).json()
    second = (await served.client.get("/v1/stores", params={"cursor": first["next"]})).json()

    assert [store["id"] for store in first["items"]] == ["a", "b"]
    assert ([store["id"] for store in second["items"]], second["next"]) == (["c"], None)


async def test_the_light_form_has_the_state_of_a_camera_and_no_statuses(served: Served) -> None:
    await served.set_up()
    async with served.follow() as stream:
        await stream.next("snapshot")
        await served.say(Status(run=LIVE, store="shop", camera="door", service="ingest", state=State.RETRYING, at=1))
        await stream.next("status")

    (shop,) = (await served.client.get("/v1/stores", params={"statuses": False})).json()

    assert (shop["cameras"][0]["state"], shop["cameras"][0]["statuses"]) == ("retrying", [])
