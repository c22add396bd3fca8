"""A camera's stream: its boxes, and nothing else."""

from __future__ import annotations

import asyncio

from tests.api.seeded import Seed
from tests.api.served import Served, boxes

TRACKS = "/v1/cameras/door/tracks"


async def test_boxes_of_the_camera_are_passed_on_with_their_tracks(served: Served) -> None:
    await served.set_up()
    async with served.listen(TRACKS) as stream:
        await stream.next("heartbeat")
        await served.show(boxes(4))
        told = await stream.next()

    assert (told.kind, told.data["seq"]) == ("tracks", 4)
    assert told.data["tracks"] == [{"track": 7, "box": [10, 20, 30, 80], "score": 0.9}]


async def test_nothing_else_is_passed_on(served: Served) -> None:
    await served.set_up()
    await served.set_up("exit")
    async with served.listen(TRACKS) as stream:
        await stream.next("heartbeat")
        await served.cross([1])
        await served.announce()
        await served.show(boxes(1, camera="exit"))
        await served.show(boxes(2, store="elsewhere"))
        await served.show(boxes(3))

        told = await stream.next()

    assert (told.kind, told.data["camera"], told.data["seq"]) == ("tracks", "door", 3)


async def test_a_store_and_its_camera_are_followed_side_by_side(served: Served) -> None:
    await served.set_up()
    async with served.follow() as store, served.listen(TRACKS) as camera:
        await store.next("snapshot")
        await camera.next("heartbeat")
        await served.show(boxes(4))

        assert (await store.next("tracks")).data == (await camera.next("tracks")).data


async def test_a_camera_of_others_has_no_stream(guarded: Served, seed: Seed) -> None:
    answer = await guarded.client.get(TRACKS, headers=seed.headers("admin@other"))

    assert (answer.status_code, answer.json()["detail"].partition(" '")[0]) == (404, "There is no camera")
    assert not guarded.parts.hub.is_viewed("shop", "door")


async def test_a_camera_that_goes_to_another_store_ends_the_stream(served: Served) -> None:
    await served.set_up()
    await served.set_up("gate", store="mall")
    async with served.listen(TRACKS) as stream:
        await stream.next("heartbeat")
        await served.pool.execute("UPDATE camera SET store = 'mall' WHERE id = 'door'")

        await stream.end()


async def test_a_browser_that_goes_is_forgotten(served: Served) -> None:
    await served.set_up()
    async with served.listen(TRACKS) as stream:
        await stream.next("heartbeat")
        assert served.parts.hub.is_viewed("shop", "door")
    async with asyncio.timeout(5):
        while served.parts.hub.is_viewed("shop", "door"):
            await served.client.get("/livez")
