"""`GET /v1/cameras/{camera}/frame.jpg`."""

from __future__ import annotations

from contracts import subjects
from contracts.frames import FrameHeader
from contracts.identity import LIVE, Policy
from infra.local.processes.nats import NatsServer
from tests.api.served import Served

URL = "/v1/cameras/door/frame.jpg"


async def publish(served: Served, seq: int, jpeg: bytes) -> None:
    header = FrameHeader(
        run=LIVE,
        store="shop",
        camera="door",
        session="s1",
        seq=seq,
        captured_at=1_700_000_000_000_000_000 + seq,
        width=640,
        height=360,
        spec_revision=1,
        policy=Policy.LATEST,
    )
    await served.bus.publish(subjects.preview(LIVE, "shop", "door"), jpeg, headers=header.to_headers())


async def test_the_newest_picture_with_its_time(served: Served) -> None:
    await served.set_up()
    await publish(served, 1, b"\xff\xd8old")
    await publish(served, 2, b"\xff\xd8new")

    answer = await served.client.get(URL)

    assert answer.content == b"\xff\xd8new"
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["metrica-seq"] == "2"
    assert answer.headers["metrica-captured-at"] == "1700000000000000002"


async def test_a_picture_that_is_there_already_is_not_sent_again(served: Served) -> None:
    await served.set_up()
    await publish(served, 1, b"\xff\xd8one")
    etag = (await served.client.get(URL)).headers["etag"]

    same = await served.client.get(URL, headers={"If-None-Match": etag})
    await publish(served, 2, b"\xff\xd8two")
    newer = await served.client.get(URL, headers={"If-None-Match": etag})

    assert (same.status_code, same.content) == (304, b"")
    assert newer.content == b"\xff\xd8two"


async def test_no_picture_yet_says_why(served: Served) -> None:
    await served.set_up()
    waiting = await served.client.get(URL)
    await served.set_up(paused=True)
    paused = await served.client.get(URL)
    await served.set_up(preview_fps=0)
    blind = await served.client.get(URL)

    assert [answer.status_code for answer in (waiting, paused, blind)] == [404, 404, 404]
    assert "has sent no picture" in waiting.json()["detail"]
    assert "is paused" in paused.json()["detail"]
    assert "preview_fps" in blind.json()["detail"]


async def test_an_unknown_camera(served: Served) -> None:
    answer = await served.client.get(URL)

    assert answer.status_code == 404
    assert "no camera 'door'" in answer.json()["detail"]


async def test_while_nats_is_away_the_answer_is_try_again(served: Served, nats_server: NatsServer) -> None:
    await served.set_up()
    async with served.follow() as stream:
        nats_server.kill()
        while (await stream.next("heartbeat")).data["bus"]:
            pass

    answer = await served.client.get(URL)

    assert answer.status_code == 503
    assert "NATS" in answer.json()["detail"]
