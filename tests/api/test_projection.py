"""The configuration reaches the services' buckets, whatever was lost on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError

from contracts.events import State, Status
from contracts.spec import CameraSpec, Source, current_key, spec_key
from contracts.streams import CAMERAS, SOURCES
from infra.local.processes.nats import NatsServer
from services.api.cameras.repository import remove_camera
from services.api.projection import Projection
from services.kit.nats.kv_watch import KeyValueEntry, watch
from tests.api.served import VAULT, Served


async def value(served: Served, bucket: str, key: str) -> bytes | None:
    try:
        async with asyncio.timeout(0.5):  # a request that a killed server took is answered by nobody
            return (await (await served.bus.js.key_value(bucket)).get(key)).value
    except KeyNotFoundError:
        return None


async def spec(served: Served, camera: str = "door") -> CameraSpec | None:
    found = await value(served, CAMERAS.name, current_key(camera))
    return None if found is None else CameraSpec.model_validate_json(found)


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(8):
        while True:
            try:
                if await found():
                    return
            except (NatsError, TimeoutError):
                await asyncio.sleep(0.02)  # the server is starting


async def until_revision(served: Served, revision: int, camera: str = "door") -> CameraSpec:
    async def there() -> bool:
        now = await spec(served, camera)
        return now is not None and now.revision == revision

    await until(there)
    found = await spec(served, camera)
    assert found is not None
    return found


@pytest.fixture
def projection(served: Served) -> Projection:
    """One that the test drives itself, beside the API's own: replicas may."""
    parts = served.parts
    return Projection(
        parts.bus,
        parts.sessions,
        parts.writable,
        served.database_url,
        parts.vault,
        parts.statuses,
        parts.clock,
        lambda: None,
    )


async def test_a_camera_reaches_the_services(served: Served) -> None:
    await served.set_up(address="rtsp://user:secret@camera/1", start=5)

    current = await until_revision(served, 1)

    assert current.lines[0].id == "entrance"
    assert await value(served, CAMERAS.name, spec_key("door", 1)) == await value(served, CAMERAS.name, "door.current")
    source = Source.model_validate_json(await value(served, SOURCES.name, "door") or b"")
    assert "secret" not in source.address, "neither the database nor the bus holds a password in the clear"
    assert (VAULT.open(source.address), source.start, source.again) == ("rtsp://user:secret@camera/1", 5, 0)


async def test_a_change_is_a_new_revision_and_the_old_one_stays(served: Served) -> None:
    await served.set_up()
    first = await until_revision(served, 1)
    await served.set_up(model="person-detection-0200")
    second = await until_revision(served, 2)

    assert (first.model, second.model) == ("motion", "person-detection-0200")
    old = CameraSpec.model_validate_json(await value(served, CAMERAS.name, spec_key("door", 1)) or b"")
    assert old == first


async def test_a_removed_camera_goes_from_the_buckets(served: Served) -> None:
    await served.set_up()
    await served.set_up("gate")
    await until_revision(served, 1, "gate")
    await remove_camera(served.database_url, "door")

    async def gone() -> bool:
        return await spec(served) is None and await value(served, SOURCES.name, "door") is None

    await until(gone)
    assert await spec(served, "gate") is not None
    assert await value(served, CAMERAS.name, spec_key("door", 1)) is not None  # frames in flight still name it


async def test_what_has_not_changed_is_not_written(served: Served, projection: Projection) -> None:
    await served.set_up()
    await until_revision(served, 1)

    changes = await projection.reconcile()

    assert (changes.written, changes.deleted) == ([], [])


async def test_what_an_earlier_release_wrote_is_no_other_revision(served: Served, projection: Projection) -> None:
    """It knew fewer fields: what it left out has its default."""
    await served.set_up()
    now = await until_revision(served, 1)
    earlier = json.loads(now.model_dump_json(exclude={"detection"}))
    for line in earlier["lines"]:
        del line["in_name"], line["out_name"]
    bucket = await served.bus.js.key_value(CAMERAS.name)
    for key in ("door.1", "door.current"):
        await bucket.put(key, json.dumps(earlier).encode())

    changes = await projection.reconcile()

    assert changes.written == []
    assert await spec(served) == now


async def test_where_a_camera_looks_reaches_the_services_and_the_dashboard(served: Served) -> None:
    detection = {"regions": [[[0, 0], [1, 0], [1, 1], [0, 1]]], "ignore": [], "min_height": 0.05}
    await served.set_up(detection=detection)

    current = await until_revision(served, 1)
    async with served.follow() as stream:
        shown = (await stream.next("snapshot")).data["store"]["cameras"][0]

    assert current.detection.model_dump(mode="json") == shown["detection"] == detection


async def test_buckets_that_were_lost_are_filled_again(served: Served) -> None:
    await served.set_up()
    await until_revision(served, 1)
    for bucket in (CAMERAS, SOURCES):
        await served.bus.js.delete_key_value(bucket.name)

    await served.set_up("gate")  # any change

    await until_revision(served, 1)
    assert await value(served, SOURCES.name, "door") is not None


async def test_a_broker_that_forgot_everything_is_told_again(served: Served, nats_server: NatsServer) -> None:
    await served.set_up()
    await until_revision(served, 1)
    for bucket in (CAMERAS, SOURCES):
        await served.bus.js.delete_key_value(bucket.name)
    nats_server.kill()
    nats_server.start()

    await until_revision(served, 1)


async def test_a_camera_that_cannot_work_stops_no_other(served: Served) -> None:
    await served.set_up()
    await until_revision(served, 1)
    await served.pool.execute("UPDATE line SET x1 = 7")
    await served.set_up("gate")
    await until_revision(served, 1, "gate")

    async with served.follow() as stream:
        camera = (await stream.next("snapshot")).data["store"]["cameras"][0]
        while camera["state"] != "refused":
            status = Status.model_validate((await stream.next("status")).data)
            camera = {"state": status.state, "statuses": [status.model_dump()]}

    said = camera["statuses"][-1]["message"]
    assert "line entrance: the point (7, 0) lies outside the picture" in said
    assert await spec(served) is not None, "what was set before stays in force"


async def test_a_camera_that_was_corrected_is_no_longer_refused(served: Served) -> None:
    await served.set_up()
    await until_revision(served, 1)
    async with served.follow() as stream:
        await served.pool.execute("UPDATE line SET x1 = 7")
        await served.set_up("gate")
        while (await stream.next("status")).data["state"] != State.REFUSED:
            pass
        await served.pool.execute("UPDATE line SET x1 = 0.4")
        await served.set_up("gate", model="person-detection-0200")

        while (await stream.next("status")).data["state"] != State.RUNNING:
            pass


async def test_a_revision_never_changes_its_meaning(served: Served) -> None:
    await served.set_up()
    await until_revision(served, 1)
    await served.pool.execute("UPDATE camera SET model = 'other-model'")  # as a database that was set up anew has it

    await served.set_up("gate")

    current = await until_revision(served, 2)
    assert current.model == "other-model"
    assert current.lines[0].revision == 2
    old = CameraSpec.model_validate_json(await value(served, CAMERAS.name, spec_key("door", 1)) or b"")
    assert old.model == "motion"


async def test_services_that_watch_see_each_change(served: Served) -> None:
    await served.set_up()
    await until_revision(served, 1)
    watching: AsyncIterator[KeyValueEntry] = watch(served.bus, CAMERAS, "*.current")

    seen = [await anext(watching)]
    await served.set_up(paused=True)
    seen.append(await anext(watching))

    assert [CameraSpec.model_validate_json(entry.value or b"").paused for entry in seen] == [False, True]
    await watching.aclose()  # type: ignore[attr-defined]  # it is a generator
