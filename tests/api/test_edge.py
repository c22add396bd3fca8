"""`POST /v1/ingest/crossings`: from a worker in a store to the counts, once however often it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from contracts.streams import Owner
from infra.local.processes.nats import NatsServer
from services.api.edge.schemas import MAX_EVENTS
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.persistence.app import Persistence
from tests.api.conftest import MORNING
from tests.api.seeded import Seed
from tests.api.served import Served

PATH = "/v1/ingest/crossings"
AT = MORNING.isoformat()


def event(name: str = "1", **said: object) -> dict[str, Any]:
    return {"id": name, "camera": "door", "line": "entrance", "direction": "in", "at": AT, **said}


@pytest.fixture
async def crossings(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The stream that the tracker owns."""
    bus = await Bus(settings, "tracker", Owner.TRACKER).start()
    yield bus
    await bus.stop()


@pytest.fixture
async def counting(settings: ServiceSettings, crossings: Bus, guarded: Served) -> AsyncIterator[None]:
    """Persistence at work."""
    bus = await Bus(settings, "persistence", Owner.PERSISTENCE).start()
    working = asyncio.create_task(Persistence(bus, guarded.pool, guarded.clock).run())
    yield
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await bus.stop()


class Worker:
    """Sends batches and reads the answers."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self._client, self._headers = client, headers

    async def send(self, *events: object, status: int = 200) -> Any:  # noqa: ANN401  # JSON
        answer = await self._client.post(PATH, json={"events": events}, headers=self._headers)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def worker(client: httpx.AsyncClient, worker_headers: dict[str, str]) -> Worker:
    return Worker(client, worker_headers)


async def until_counted(served: Served, number: int) -> None:
    async with asyncio.timeout(10):
        while await served.pool.fetchval("SELECT count(*) FROM crossing") < number:
            pass


@pytest.mark.usefixtures("counting")
async def test_what_is_sent_again_is_counted_once(
    guarded: Served, worker: Worker, auth_headers: Callable[[str], dict[str, str]]
) -> None:
    batch = [event("1"), event("2"), event("3", direction="out")]
    first = await worker.send(*batch)
    again = await worker.send(*batch)  # perhaps before persistence was quick enough
    await until_counted(guarded, 3)
    later = await worker.send(*batch, event("4"))
    await until_counted(guarded, 4)

    assert (first["accepted"], first["duplicates"], first["refused"]) == (3, 0, 0)
    assert again["accepted"] + again["duplicates"] == 3
    assert [one["status"] for one in later["events"]] == ["duplicate"] * 3 + ["accepted"]
    counts = (await guarded.client.get("/v1/stores/shop/counts", headers=auth_headers("viewer@acme"))).json()
    assert (counts["totals"]["in"], counts["totals"]["out"], counts["now"]["inside"]) == (3, 1, 2)


@pytest.mark.usefixtures("counting")
async def test_it_reaches_the_dashboard(
    guarded: Served, worker: Worker, auth_headers: Callable[[str], dict[str, str]]
) -> None:
    async with guarded.follow(**auth_headers("viewer@acme")) as stream:
        assert (await stream.next("snapshot")).data["store"]["counts"]["in"] == 0
        await worker.send(event())
        assert (await stream.next("counts")).data["in"] == 1


@pytest.mark.usefixtures("crossings")
async def test_each_event_is_answered_by_itself(worker: Worker) -> None:
    broken: list[tuple[object, str]] = [
        (event("c", camera="gate"), "the store shop has no camera 'gate'"),
        (event("l", line="back"), "the camera door has no line 'back'"),
        (event("f", at="2026-11-23T10:00:00Z"), "it is in the future"),
        (event("o", at="2020-01-01T00:00:00Z"), "older than 400 days"),
        (event("t", at="2026-11-23T10:00:00"), "at: "),
        (event("d", direction="up"), "direction: "),
        (event("p", place=2), "place: "),
        (event("x", mood="cheerful"), "mood: "),
        (event(""), "id: "),
        (event("nul\x00"), "U+0000"),
        ({"id": "m"}, "camera: Field required"),
        (7, ""),
        (None, ""),
    ]
    answer = await worker.send(*(one for one, _ in broken), event("good"))

    assert (answer["accepted"], answer["refused"]) == (1, len(broken))
    for told, (sent, detail) in zip(answer["events"], broken, strict=False):
        assert told["status"] == "refused"
        assert detail in told["detail"]
        assert told["id"] == (sent["id"] if isinstance(sent, dict) and "\x00" not in sent["id"] else None)
    assert answer["events"][-1] == {"id": "good", "status": "accepted", "detail": None}


@pytest.mark.usefixtures("counting")
async def test_an_id_is_of_one_crossing_for_ever(guarded: Served, worker: Worker) -> None:
    answer = await worker.send(event("1"), event("1"), event("1", direction="out"))
    assert [one["status"] for one in answer["events"]] == ["accepted", "duplicate", "refused"]
    await until_counted(guarded, 1)

    for another in ({"at": "2026-11-23T08:00:00Z"}, {"direction": "out"}):
        answer = await worker.send(event("1", **another))
        assert "another crossing was sent under this id" in answer["events"][0]["detail"]
    assert await guarded.pool.fetchval("SELECT count(*) FROM crossing") == 1


@pytest.mark.usefixtures("counting")
async def test_two_workers_may_use_the_same_ids(guarded: Served, worker: Worker, seed: Seed) -> None:
    other = Worker(guarded.client, {"X-Worker-Key": seed.keys["other-worker"]})
    await worker.send(event("1"))
    await other.send(event("1", camera="gate"))

    await until_counted(guarded, 2)


@pytest.mark.usefixtures("crossings")
@pytest.mark.parametrize(
    "events", [[], [event(str(n)) for n in range(MAX_EVENTS + 1)]], ids=["nothing", "more than a batch"]
)
async def test_a_batch_has_limits(worker: Worker, events: list[object]) -> None:
    answer = await worker.send(*events, status=422)

    assert answer["invalid"][0]["parameter"] == "events"


async def test_a_body_has_a_limit(client: httpx.AsyncClient, worker_headers: dict[str, str]) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 65536

    for content in (b" " * 1_100_000, slowly()):
        answer = await client.post(PATH, content=content, headers=worker_headers)
        assert answer.status_code == 413
        assert "larger than 1024 KiB" in answer.json()["detail"]


async def test_a_key_that_is_revoked_wrong_or_no_workers_is_no_way_in(
    guarded: Served, client: httpx.AsyncClient, seed: Seed
) -> None:
    good = seed.keys["acme-worker"]
    for bad in ("", "nonsense", good[:-1], good + "x", good.upper(), seed.keys["acme-reader"]):
        assert (await client.post(PATH, json={"events": [event()]}, headers={"X-Worker-Key": bad})).status_code == 401
    await guarded.pool.execute("UPDATE api_key SET revoked_at = now()")
    answer = await client.post(PATH, json={"events": [event()]}, headers={"X-Worker-Key": good})

    assert answer.status_code == 401
    assert "revoked" in answer.json()["detail"]


async def test_a_workers_key_opens_nothing_else(client: httpx.AsyncClient, seed: Seed) -> None:
    for headers in (
        {"Authorization": f"Bearer {seed.keys['acme-worker']}"},
        {"X-Worker-Key": seed.keys["acme-worker"]},
    ):
        assert (await client.get("/v1/stores/shop/counts", headers=headers)).status_code == 401


@pytest.mark.usefixtures("crossings")
async def test_while_the_bus_is_away_nothing_is_taken_and_it_says_so(worker: Worker, nats_server: NatsServer) -> None:
    nats_server.stop()
    answer = await worker.send(event(), status=503)
    nats_server.start()

    assert "Send the batch again" in answer["detail"]
    async with asyncio.timeout(10):
        while (await worker._client.get("/readyz")).status_code != 200:
            pass
    assert (await worker.send(event()))["accepted"] == 1
