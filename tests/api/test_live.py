"""The live stream: a snapshot, then what changes, and nothing that the database does not hold."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx

from contracts import subjects
from contracts.events import Crossing, State, Status
from contracts.identity import LIVE, Direction, to_ns
from contracts.streams import STATUS
from infra.local.processes.nats import NatsServer
from infra.local.processes.postgres import PostgresServer
from services.api.live import messages
from services.api.live.mailbox import Mailbox
from services.api.live.messages import LATEST_CROSSINGS
from services.kit.settings import ServiceSettings
from tests.api.served import BROWSER, FakeClock, Served, boxes, serving, until_ready
from tests.persistence.builders import crossing, end

NO_MODEL = Status(
    run=LIVE,
    store="shop",
    camera="door",
    service="detector",
    state=State.NO_MODEL,
    message="Put person-detection-0200 into METRICA_MODELS.",
    at=1,
)


async def test_a_stream_begins_with_everything(served: Served) -> None:
    await served.set_up(name="Front door", time_zone="Africa/Tunis", store_name="The Shop")
    await served.say(NO_MODEL)
    await served.cross([1, 2])
    await served.cross([3], Direction.OUT)

    async with served.follow() as stream:
        first = await stream.next()

    assert first.kind == "snapshot"
    assert first.id == "2"  # two commits
    store = first.data["store"]
    assert (store["name"], store["time_zone"]) == ("The Shop", "Africa/Tunis")
    assert (store["counts"]["in"], store["counts"]["out"], store["counts"]["inside"]) == (2, 1, 1)
    (camera,) = store["cameras"]
    assert camera["lines"][0]["id"] == "entrance"
    assert camera["model"] == "motion"
    assert first.data["now"] == to_ns(served.clock())


async def test_a_commit_is_pushed_with_the_version_as_its_id(served: Served) -> None:
    await served.set_up()
    async with served.follow() as stream:
        await stream.next("snapshot")
        await served.cross([1])
        await served.announce()
        event = await stream.next("counts")

    assert event.id == "1"
    assert (event.data["in"], event.data["lines"][0]["line"]) == (1, "entrance")


async def test_a_notice_that_was_lost_is_mended_from_the_database(served: Served) -> None:
    await served.set_up()
    async with served.follow() as stream:
        await stream.next("snapshot")
        await served.cross([1, 2, 3])  # and nobody says so

        assert (await stream.next("counts")).data["in"] == 3


async def test_counts_go_on_while_nats_is_away(served: Served, nats_server: NatsServer) -> None:
    await served.set_up()
    async with served.follow() as stream:
        await stream.next("snapshot")
        nats_server.kill()
        while (await stream.next("heartbeat")).data["bus"]:
            pass
        await served.cross([1])
        assert (await stream.next("counts")).data["in"] == 1

        nats_server.start()
        while not (await stream.next("heartbeat")).data["bus"]:
            pass
        await served.cross([2])
        await served.announce()
        assert (await stream.next("counts")).data["in"] == 2


async def test_a_stale_notice_is_not_shown(served: Served) -> None:
    await served.set_up()
    await served.cross([1])
    old = await served.announce()
    await served.cross([2])
    async with served.follow() as stream:
        await stream.next("snapshot")
        await served.bus.client.publish(subjects.counts(LIVE, "shop"), old.encode())
        await served.cross([3])
        await served.announce()

        assert (await stream.next("counts")).data["in"] == 3


async def test_a_browser_that_comes_back_gets_all_that_it_missed(served: Served) -> None:
    await served.set_up()
    async with served.follow() as stream:
        seen = (await stream.next("snapshot")).id
    await served.cross([1, 2])
    assert seen is not None

    async with served.follow(**{"Last-Event-ID": seen}) as stream:
        again = await stream.next()

    assert (again.kind, again.id, again.data["store"]["counts"]["in"]) == ("snapshot", "1", 2)


async def test_midnight_in_the_store_begins_a_new_day(served: Served) -> None:
    await served.set_up(time_zone="Africa/Tunis")
    served.clock.now = datetime(2026, 11, 23, 22, 59, 59, tzinfo=UTC)  # 23:59:59 in Tunis
    await served.cross([1, 2])
    async with served.follow() as stream:
        evening = await stream.next("snapshot")
        served.clock.now += timedelta(seconds=1)
        night = await stream.next("snapshot")

    assert [one.data["store"]["counts"]["day"] for one in (evening, night)] == ["2026-11-23", "2026-11-24"]
    assert [one.data["store"]["counts"]["in"] for one in (evening, night)] == [2, 0]


async def test_a_store_that_opens_sends_a_snapshot(served: Served) -> None:
    await served.set_up(time_zone="Africa/Tunis")
    await served.pool.execute("""UPDATE store SET opening_hours = '{"monday": [["10:00", "19:00"]]}'""")
    served.clock.now = datetime(2026, 11, 23, 8, 59, 59, tzinfo=UTC)  # 09:59:59 in Tunis
    async with served.follow() as stream:
        before = await stream.next("snapshot")
        served.clock.now += timedelta(seconds=1)
        after = await stream.next("snapshot")

    assert [each.data["store"]["open_now"] for each in (before, after)] == [False, True]
    assert after.data["store"]["closes_at"] == "2026-11-23T19:00:00+01:00"


async def test_a_status_is_pushed_and_kept(served: Served) -> None:
    await served.set_up()
    async with served.follow() as stream:
        await stream.next("snapshot")
        await served.say(NO_MODEL)
        told = await stream.next("status")
    async with served.follow() as stream:
        kept = (await stream.next("snapshot")).data["store"]["cameras"][0]

    assert told.data["message"] == NO_MODEL.message
    assert kept["state"] == "no_model"
    assert [one["service"] for one in kept["statuses"]] == ["detector"]


class TestCrossings:
    """Shown at once, for display; `counts` follows when they are committed."""

    async def test_a_crossing_is_shown_before_it_is_counted(self, served: Served) -> None:
        await served.set_up()
        event = crossing(412, at=served.clock())
        async with served.follow() as stream:
            await stream.next("snapshot")
            await publish(served, event)
            shown = await stream.next("crossing")

        assert shown.id is None
        assert shown.data == {
            "id": str(event.id),
            "store": "shop",
            "camera": "door",
            "line": "entrance",
            "direction": "in",
            "at": event.at,
            "seq": 412,
            "session": "s1",
        }

    async def test_one_that_is_published_again_is_shown_once(self, served: Served) -> None:
        await served.set_up()
        async with served.follow() as stream:
            await stream.next("snapshot")
            for seq in (1, 1, 2):
                await publish(served, crossing(seq))
            shown = [(await stream.next("crossing")).data["seq"] for _ in range(2)]

        assert shown == [1, 2]

    async def test_one_of_an_edge_device_is_shown_too(self, served: Served) -> None:
        await served.set_up()
        async with served.follow() as stream:
            await stream.next("snapshot")
            await publish(served, crossing(1), subjects.edge(LIVE, "shop", "door"))

            assert (await stream.next("crossing")).data["seq"] == 1

    async def test_ends_of_sessions_and_what_cannot_be_read_are_not_shown(self, served: Served) -> None:
        await served.set_up()
        async with served.follow() as stream:
            await stream.next("snapshot")
            for data in (end(1).encode(), b"{", crossing(1, store="other").encode(), crossing(2).encode()):
                await served.bus.client.publish(subjects.crossings(LIVE, "shop", "door"), data)

            assert (await stream.next()).data["seq"] == 2

    async def test_of_a_slow_reader_the_newest_wait(self) -> None:
        mailbox = Mailbox()
        for number in range(LATEST_CROSSINGS + 3):
            mailbox.put(messages.crossing(crossing(number), number))
        bodies = [(await mailbox.take()).body for _ in range(len(mailbox))]

        kept = [json.loads(body.partition(b"data: ")[2])["seq"] for body in bodies]
        assert sorted(kept) == list(range(3, LATEST_CROSSINGS + 3))


async def publish(served: Served, event: Crossing, subject: str = "") -> None:
    """Publish a crossing as the tracker does, or on another subject."""
    await served.bus.client.publish(subject or subjects.crossings(LIVE, event.store, event.camera), event.encode())
    await served.bus.client.flush()


async def test_a_status_that_cannot_be_stored_is_heard_even_so(served: Served) -> None:
    await served.set_up()
    full = NO_MODEL.model_copy(update={"state": State.RETRYING, "message": "JetStream does not store detections."})
    async with served.follow() as stream:
        await stream.next("snapshot")
        await served.bus.js.delete_stream(STATUS.name)
        await served.bus.client.publish(subjects.status(LIVE, "shop", "door", "detector"), full.encode())

        assert (await stream.next("status")).data["message"] == full.message


async def test_the_last_word_stands_though_its_clock_was_put_back(served: Served) -> None:
    await served.set_up()
    running = NO_MODEL.model_copy(update={"state": State.RUNNING, "message": "", "at": NO_MODEL.at - 1})
    async with served.follow() as stream:
        await stream.next("snapshot")
        for status in (NO_MODEL, running):
            await served.say(status)
            assert (await stream.next("status")).data["state"] == status.state


async def test_a_camera_does_as_the_worst_word_about_it(served: Served) -> None:
    await served.set_up()
    running = NO_MODEL.model_copy(update={"service": "ingest", "state": State.RUNNING, "message": ""})
    async with served.follow() as stream:
        await stream.next("snapshot")
        for status in (NO_MODEL, running):
            await served.say(status)
            await stream.next("status")
    worst = (await served.client.get("/v1/stores")).json()[0]["cameras"][0]["state"]
    assert worst == "no_model"


async def test_boxes_are_passed_on_as_the_tracker_made_them(served: Served) -> None:
    await served.set_up()
    event = boxes()
    async with served.follow() as stream:
        await stream.next("snapshot")
        await served.bus.client.publish(subjects.tracks(LIVE, "shop", "door"), b"not json")
        await served.bus.client.publish(subjects.tracks(LIVE, "shop", "exit"), event.encode())

        assert (await stream.next("tracks")).data["tracks"] == [{"track": 7, "box": [10, 20, 30, 80], "score": 0.9}]


async def test_a_change_of_the_configuration_is_a_new_snapshot(served: Served) -> None:
    await served.set_up()
    async with served.follow() as stream:
        await stream.next("snapshot")
        await served.set_up("exit")
        changed = await stream.next("snapshot")
        while len(changed.data["store"]["cameras"]) < 2:  # the first one may be of the set-up before
            changed = await stream.next("snapshot")

    assert [one["id"] for one in changed.data["store"]["cameras"]] == ["door", "exit"]


async def test_a_restored_database_is_believed(served: Served) -> None:
    await served.set_up()
    await served.cross([1])
    await served.cross([2])
    async with served.follow() as stream:
        assert (await stream.next("snapshot")).id == "2"
        await served.pool.execute("UPDATE store_version SET version = 1")
        await served.pool.execute("UPDATE count_day SET ins = 1")

        restored = await stream.next("snapshot")

    assert (restored.id, restored.data["store"]["counts"]["in"]) == ("1", 1)


async def test_streams_hold_no_database_session(served: Served) -> None:
    await served.set_up()
    async with served.follow() as one, served.follow() as other:
        await one.next("snapshot")
        await other.next("snapshot")
        async with asyncio.timeout(2):
            while await served.pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'metrica-api' "
                "AND datname = current_database() AND state LIKE 'idle in transaction%'"
            ):
                pass  # the periodic reading has one for a millisecond
        assert len(served.parts.hub.rooms["shop"].listeners) == 2


async def test_a_browser_that_goes_is_forgotten(served: Served) -> None:
    await served.set_up()
    async with served.follow() as stream:
        await stream.next("snapshot")
    async with asyncio.timeout(5):
        while served.parts.hub.rooms:
            await served.client.get("/livez")


async def test_too_many_streams_are_refused_in_words(
    served: Served, settings: ServiceSettings, api_database_url: str, clock: FakeClock
) -> None:
    await served.set_up()
    shares = {"max_streams": 1, "max_streams_per_principal": 2, "max_streams_per_organization": 2}
    async with serving(settings, api_database_url, clock, limits=None, **shares) as parts:
        address = f"http://127.0.0.1:{parts.settings.port}"
        async with httpx.AsyncClient(base_url=address, headers=BROWSER) as client:
            await until_ready(client)
            async with client.stream("GET", "/v1/stores/shop/events") as first:
                assert first.status_code == 200
                second = await client.get("/v1/stores/shop/events")

    assert second.status_code == 503
    assert second.headers["retry-after"] == "10"
    assert "METRICA_MAX_STREAMS" in second.json()["detail"]


async def test_an_unknown_store_has_no_stream(served: Served) -> None:
    answer = await served.client.get("/v1/stores/nowhere/events")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert not served.parts.hub.rooms


async def test_without_a_database_a_stream_says_so(served: Served, postgres_server: PostgresServer) -> None:
    await served.set_up()
    async with served.follow() as stream:
        await stream.next("snapshot")
        postgres_server.stop()
        answer = await served.client.get("/v1/stores/shop/events")
        assert answer.status_code == 503
        assert "database is away" in answer.json()["detail"]
        assert (await stream.next("heartbeat")).data["bus"]  # who listens already is not cut off

        postgres_server.start()
        await served.pool.expire_connections()
        await served.cross([1])
        assert (await stream.next("counts")).data["in"] == 1
