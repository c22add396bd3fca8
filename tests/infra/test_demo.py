"""The demonstration of `./taskw up`: invented history of the simulated door, where nothing was counted before."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import asyncpg

from infra.local.camera import configure_camera
from infra.local.options import Options
from services.api.cameras.repository import find_camera, remove_camera
from services.api.cameras.setup import CameraSetup
from services.kit.vault import Vault
from services.persistence.writer import Writer
from tests.persistence.builders import crossing

VAULT = Vault("a secret key that only tests have")
RTSP = Options(camera="rtsp://camera/1")


async def up(options: Options, api_database_url: str, database_url: str) -> CameraSetup:
    """As `./taskw up` does it; gives the camera as it is set then."""
    await configure_camera(api_database_url, options, VAULT, database_url)
    return await find_camera(api_database_url, "camera", VAULT)


async def counted(database_url: str) -> dict[str, int]:
    """The number of crossings of each store."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT store, count(*) FROM crossing GROUP BY store")
    await connection.close()
    return dict(rows)


async def demos(database_url: str) -> dict[str, str]:
    """The names of organizations that are marked, by id."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT id, name FROM organization WHERE demo")
    await connection.close()
    return dict(rows)


async def test_a_fresh_simulated_door_has_nine_weeks_of_history_until_now(
    api_database_url: str, database_url: str
) -> None:
    setup = await up(Options(time_zone="Asia/Kathmandu"), api_database_url, database_url)

    connection = await asyncpg.connect(database_url)
    days = [day for (day,) in await connection.fetch("SELECT DISTINCT day FROM count_day ORDER BY day")]
    lines = await connection.fetch("SELECT DISTINCT store, camera, line FROM count_day")
    covered = await connection.fetch("SELECT until - start AS covered FROM coverage")
    newest = await connection.fetchval("SELECT max(at) FROM crossing")
    store = await connection.fetchrow("SELECT opening_hours, capacity FROM store WHERE id = 'demo'")
    await connection.close()
    assert [covered >= timedelta(weeks=9) for (covered,) in covered] == [True]
    assert newest < datetime.now(UTC)
    assert json.loads(store["opening_hours"])["sunday"] == [["08:00", "20:00"]]
    assert store["capacity"] == 200
    assert (setup.organization, setup.store, setup.store_name) == ("demo", "demo", "Demo shop")
    assert setup.time_zone == "Asia/Kathmandu"
    assert await demos(database_url) == {"demo": "Demo"}
    today = (datetime.now(UTC) + timedelta(hours=5, minutes=45)).date()
    assert 63 <= len(days) <= 64
    assert days[-1] >= today - timedelta(days=1)
    assert [tuple(line) for line in lines] == [("demo", "camera", setup.lines[0].id)], "of the door that counts live"


async def test_what_was_invented_once_stays_and_is_not_invented_again(api_database_url: str, database_url: str) -> None:
    await up(Options(), api_database_url, database_url)
    before = await counted(database_url)
    await up(Options(), api_database_url, database_url)
    await remove_camera(api_database_url, "camera")
    await up(Options(), api_database_url, database_url)

    assert await counted(database_url) == before


async def test_a_real_camera_has_no_invented_history_and_a_store_of_its_own(
    api_database_url: str, database_url: str
) -> None:
    first = await up(RTSP, api_database_url, database_url)
    door = await up(Options(camera="sim://door"), api_database_url, database_url)
    again = await up(RTSP, api_database_url, database_url)

    assert (first.store, door.store, again.store) == ("store", "demo", "store")
    assert (first.organization, again.store_name) == ("default", "My store")
    assert await demos(database_url) == {"demo": "Demo"}, "what the door counts is simulated all the same"
    assert await counted(database_url) == {}


async def test_where_something_was_counted_nothing_is_invented(api_database_url: str, database_url: str) -> None:
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        await Writer(pool).write([crossing()])

    await up(Options(), api_database_url, database_url)

    assert await counted(database_url) == {"shop": 1}


async def test_a_store_with_a_name_of_its_own_gets_no_history(api_database_url: str, database_url: str) -> None:
    setup = await up(Options(store="Café Bleu"), api_database_url, database_url)

    assert (setup.organization, setup.store_name) == ("demo", "Café Bleu")
    assert await counted(database_url) == {}


async def test_a_name_that_was_given_since_stays(api_database_url: str, database_url: str) -> None:
    await up(RTSP, api_database_url, database_url)
    await up(Options(store="Café Bleu", time_zone="Europe/Paris"), api_database_url, database_url)
    connection = await asyncpg.connect(api_database_url)
    await connection.execute("UPDATE store SET name = 'Our shop', time_zone = 'Africa/Tunis' WHERE id = 'store'")
    await connection.close()
    await up(Options(camera="sim://door"), api_database_url, database_url)

    again = await up(RTSP, api_database_url, database_url)

    assert (again.store, again.store_name, again.time_zone) == ("store", "Our shop", "Africa/Tunis")
