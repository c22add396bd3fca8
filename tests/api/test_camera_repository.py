"""Writing the configuration: what is a change, and what it does to revisions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from pydantic import ValidationError

from contracts.spec import Anchor, Side
from services.api.cameras.mapping import in_words, read_spec
from services.api.cameras.repository import NoSuchCamera, ensure_camera, find_camera, list_cameras, remove_camera
from services.api.cameras.setup import CameraSetup
from services.api.transaction import CHANNEL
from services.kit.database.tables import Camera, Line
from tests.api.served import VAULT

ENTRANCE = {"id": "entrance", "x1": 0.5, "y1": 0.0, "x2": 0.5, "y2": 1.0}
EVERYWHERE = [(0, 0), (1, 0), (1, 1), (0, 1)]
EXIT = {"id": "exit", "x1": 0.1, "y1": 0.1, "x2": 0.9, "y2": 0.1}


def door(*lines: dict[str, Any], **said: object) -> CameraSetup:
    fields = {"camera": "door", "address": "sim://door", "store": "shop", "lines": lines or (ENTRANCE,), **said}
    return CameraSetup.model_validate(fields)


@pytest.fixture
async def look(api_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(api_database_url)
    yield connection
    await connection.close()


async def line_revisions(look: asyncpg.Connection) -> dict[str, int]:
    return dict(await look.fetch("SELECT id, revision FROM line"))


async def test_a_new_camera_begins_at_revision_one(api_database_url: str, look: asyncpg.Connection) -> None:
    revision = await ensure_camera(api_database_url, door(time_zone="Africa/Tunis", store_name="The Shop"))

    assert revision == 1
    assert await line_revisions(look) == {"entrance": 1}
    assert dict(await look.fetchrow("SELECT name, time_zone FROM store")) == {
        "name": "The Shop",
        "time_zone": "Africa/Tunis",
    }


async def test_saying_the_same_again_changes_nothing(api_database_url: str) -> None:
    revisions = [await ensure_camera(api_database_url, door(ENTRANCE, EXIT)) for _ in range(3)]

    assert revisions == [1, 1, 1]
    assert await ensure_camera(api_database_url, door(EXIT, ENTRANCE)) == 1, "the order of lines means nothing"


@pytest.mark.parametrize(
    "change",
    [
        {"model": "motion"},
        {"name": "Front"},
        {"paused": True},
        {"detection": {"min_height": 0.1}},
        {"lines": [{**ENTRANCE, "in_name": "shop"}]},
        {"capture": {"fps": 5}},
        {"capture": {"width": 640}},
        {"preview_fps": 1},
        {"store": "other"},
        {"address": "video.mp4"},  # a file: the policy becomes every
    ],
    ids=str,
)
async def test_what_the_services_see_raises_the_revision(
    api_database_url: str, look: asyncpg.Connection, change: dict[str, Any]
) -> None:
    await ensure_camera(api_database_url, door())

    changed = CameraSetup.model_validate({**door().model_dump(), **change})
    assert await ensure_camera(api_database_url, changed) == 2
    assert await line_revisions(look) == {"entrance": 1}, "the line is where it was"


@pytest.mark.parametrize(
    "change", [{"again": True}, {"start": 1}, {"address": "sim://door?seed=2"}, {"time_zone": "UTC"}], ids=str
)
async def test_what_only_ingest_or_the_calendar_sees_does_not(api_database_url: str, change: dict[str, Any]) -> None:
    await ensure_camera(api_database_url, door())

    assert await ensure_camera(api_database_url, door(**change)) == 1


@pytest.mark.parametrize("change", [{"x1": 0.4}, {"in_side": Side.LEFT}, {"anchor": Anchor.FOOT}], ids=str)
async def test_a_line_that_counts_otherwise_is_another_line(
    api_database_url: str, look: asyncpg.Connection, change: dict[str, Any]
) -> None:
    await ensure_camera(api_database_url, door(ENTRANCE, EXIT))

    assert await ensure_camera(api_database_url, door({**ENTRANCE, **change}, EXIT)) == 2
    assert await line_revisions(look) == {"entrance": 2, "exit": 1}


async def test_a_line_drawn_anew_never_takes_an_old_number(api_database_url: str, look: asyncpg.Connection) -> None:
    await ensure_camera(api_database_url, door(ENTRANCE, EXIT))
    await ensure_camera(api_database_url, door(ENTRANCE))
    await ensure_camera(api_database_url, door(ENTRANCE, {**EXIT, "y1": 0.3}))

    assert await line_revisions(look) == {"entrance": 1, "exit": 3}


async def test_a_name_of_a_line_is_only_a_name(api_database_url: str, look: asyncpg.Connection) -> None:
    await ensure_camera(api_database_url, door())

    assert await ensure_camera(api_database_url, door({**ENTRANCE, "name": "Main"})) == 2
    assert await line_revisions(look) == {"entrance": 1}


async def test_counting_a_file_anew_is_asked_for_each_time(api_database_url: str, look: asyncpg.Connection) -> None:
    for again in (False, True, False, True):
        await ensure_camera(api_database_url, door(again=again))

    assert await look.fetchval("SELECT again FROM camera") == 2


async def test_the_store_keeps_what_is_not_said(api_database_url: str, look: asyncpg.Connection) -> None:
    await ensure_camera(api_database_url, door(store_name="The Shop", time_zone="Africa/Tunis"))
    await ensure_camera(api_database_url, door())

    assert dict(await look.fetchrow("SELECT name, time_zone FROM store")) == {
        "name": "The Shop",
        "time_zone": "Africa/Tunis",
    }


async def test_every_change_is_announced_with_its_commit(api_database_url: str, look: asyncpg.Connection) -> None:
    heard: list[str] = []
    await look.add_listener(CHANNEL, lambda *said: heard.append(said[2]))

    await ensure_camera(api_database_url, door())
    await look.execute("SELECT 1")  # notices come with the next answer

    assert heard == [CHANNEL]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"time_zone": "Mars/Olympus"}, "'Mars/Olympus' is no time zone: write it as Europe/Paris"),
        ({"lines": [{**ENTRANCE, "x1": 1.5}]}, "the point (1.5, 0) lies outside the picture"),
        ({"lines": [{**ENTRANCE, "y2": 0.01}]}, "less than a person: draw it longer"),
        ({"lines": [ENTRANCE, ENTRANCE]}, "two of its lines have the same id"),
        ({"camera": "front door"}, "camera: String should match pattern"),
        ({"model": "???"}, "holds no letter or digit"),
        ({"policy": "every"}, "policy: Extra inputs are not permitted"),  # a source has the one that suits it
        ({"detection": {"regions": [[(0, 0), (1, 0)]]}}, "region 1: it has 2 corners"),
        ({"detection": {"ignore": [EVERYWHERE]}}, "line entrance can never count: nobody is looked for where it lies"),
        ({"detection": {"min_height": 2}}, "detection.min_height: Input should be less than 1"),
        ({"address": ""}, "address: String should have at least 1 character"),
        ({"capture": {"fps": 0}}, "capture.fps: Input should be greater than 0"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value)[:40],
)
def test_what_cannot_work_is_refused_in_words(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as refused:
        door(**said)

    assert problem in in_words(refused.value)


async def test_where_a_camera_looks_and_what_its_sides_are_called_is_kept(api_database_url: str) -> None:
    named = {**ENTRANCE, "in_name": "shop", "out_name": "street"}
    detection = {"regions": [EVERYWHERE], "ignore": [[(0, 0), (0.2, 0), (0, 0.2)]], "min_height": 0.05}
    wanted = door(named, detection=detection)
    await ensure_camera(api_database_url, wanted)

    found = await find_camera(api_database_url, "door")
    assert found.detection == wanted.detection
    assert (found.lines[0].in_name, found.lines[0].out_name) == ("shop", "street")
    assert await ensure_camera(api_database_url, found) == 1


async def test_regions_that_hide_a_line_are_listed_without_either(
    api_database_url: str, look: asyncpg.Connection
) -> None:
    await ensure_camera(api_database_url, door())
    await look.execute("UPDATE camera SET detection = $1", json.dumps({"ignore": [EVERYWHERE]}))

    (listed,) = await list_cameras(api_database_url)
    assert (listed.lines, listed.detection.whole) == ((), True)


async def test_cameras_are_listed_found_and_removed(api_database_url: str) -> None:
    await ensure_camera(api_database_url, door(address="rtsp://cam/1", capture={"fps": 8}), VAULT)
    await ensure_camera(api_database_url, door(camera="gate", store="mall"))

    assert [(one.store, one.camera) for one in await list_cameras(api_database_url)] == [
        ("mall", "gate"),
        ("shop", "door"),
    ]
    found = await find_camera(api_database_url, "door", VAULT)
    assert (found.address, found.capture.fps, found.lines[0].id) == ("rtsp://cam/1", 8, "entrance")

    await remove_camera(api_database_url, "door")

    assert [one.camera for one in await list_cameras(api_database_url)] == ["gate"]
    for missing in (find_camera, remove_camera):
        with pytest.raises(NoSuchCamera, match="there is no camera 'door'"):
            await missing(api_database_url, "door")


def test_the_error_of_an_invalid_camera_holds_no_address() -> None:
    row = Camera(id="door", store="shop", address="rtsp://eve:secret@10.0.0.5/", model="m", policy="latest")
    line = Line.model_validate({**ENTRANCE, "camera": "door", "in_side": "right", "anchor": "center"})

    with pytest.raises(ValidationError) as refused:
        read_spec(row, [line, line])

    assert all("secret" not in str(cause) for cause in refused.value.errors())
