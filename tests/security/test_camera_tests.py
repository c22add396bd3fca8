"""Row 6: camera tests take turns. One tenant's hold up no other's, and what nobody waits for any more ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from nats.aio.msg import Msg

from contracts.probe import Probe, Probed
from contracts.subjects import PROBE, PROBE_CANCEL
from services.api.quotas import RETRY_AFTER
from services.ingest.probing import probe as probe_module
from services.ingest.probing.fair_turns import FairTurns
from services.ingest.source import FrameSource, SourceLost
from services.ingest.sources.opening import open_source
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from tests.api.seeded import ROOT, Seed
from tests.api.served import PATIENCE, Served
from tests.security.probes import answering

DOOR = "sim://door?width=160&height=90"
HANGS = "sim://hangs"
"""A source that never opens, in the tests' own `open_source`."""


class Hanging:
    """Stands before `open_source`: what hangs does so until the test ends."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.end = threading.Event()

    def __call__(self, address: str, **options: Any) -> FrameSource:  # noqa: ANN401  # handed on
        self.opened.append(address)
        if address.startswith(HANGS):
            self.end.wait(60)
            raise SourceLost("it hung")
        return open_source(address, **options)

    async def until(self, count: int) -> None:
        """Wait until so many hang."""
        async with asyncio.timeout(PATIENCE):
            while True:
                if sum(address.startswith(HANGS) for address in self.opened) >= count:
                    return
                await asyncio.sleep(0.01)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    stand_in = Hanging()
    monkeypatch.setattr(probe_module, "open_source", stand_in)
    yield stand_in
    stand_in.end.set()


@pytest.fixture
async def ingest(settings: ServiceSettings, guarded: Served) -> AsyncIterator[None]:
    async with answering(settings, guarded.bus):
        yield


Try = Callable[[str, str], Awaitable[httpx.Response]]


@pytest.fixture
def attempt(client: httpx.AsyncClient, seed: Seed) -> Try:
    """`attempt("admin@other", address)`: try an address out in one's store."""

    async def attempt(who: str, address: str) -> httpx.Response:
        store = "mall" if who.endswith("@other") else "shop"
        path = f"/v1/stores/{store}/cameras/test"
        return await client.post(path, json={"address": address}, headers=seed.headers(who), timeout=60)

    return attempt


def start(trying: Awaitable[httpx.Response]) -> asyncio.Task[httpx.Response]:
    return asyncio.ensure_future(trying)


async def hang_up(*tasks: asyncio.Task[httpx.Response]) -> None:
    """As a browser whose page is closed."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def usual(attempt: Try) -> float:
    """The seconds of a test of the simulated door while nothing else runs."""
    began = time.monotonic()
    assert (await attempt("admin@other", DOOR)).json()["works"] is True
    return time.monotonic() - began


@pytest.mark.usefixtures("ingest")
async def test_twelve_hanging_tests_of_one_tenant_hold_up_no_other(attempt: Try, hanging: Hanging) -> None:
    alone = await usual(attempt)
    asking = [start(attempt("manager@acme", f"{HANGS}?{n}")) for n in range(12)]
    await hanging.until(2)
    refused: list[asyncio.Task[httpx.Response]] = []
    async with asyncio.timeout(PATIENCE):
        while len(refused) < 10:
            await asyncio.sleep(0.01)
            refused = [task for task in asking if task.done()]

    among = await usual(attempt)
    answers = [task.result() for task in refused]
    await hang_up(*asking)

    assert {answer.status_code for answer in answers} == {429}
    assert {answer.headers["retry-after"] for answer in answers} == {str(RETRY_AFTER)}
    assert all("End one, or try again" in answer.json()["detail"] for answer in answers)
    assert among < alone + 5.0  # the hanging ones hold their turns for ten seconds and more


async def test_tests_that_come_past_the_api_hold_up_no_other_tenant(
    settings: ServiceSettings, guarded: Served, attempt: Try, hanging: Hanging
) -> None:
    """As they do where many replicas of the API let two in each."""
    async with answering(settings, guarded.bus):
        alone = await usual(attempt)
        for n in range(12):
            probe = Probe(address=f"{HANGS}?{n}", organization="acme", id=f"probe-{n}")
            await guarded.bus.client.publish(PROBE, probe.model_dump_json().encode(), reply="_INBOX_nobody.1")
        await hanging.until(2)

        assert await usual(attempt) < alone + 2.0
        assert len([address for address in hanging.opened if address.startswith(HANGS)]) == 2


@pytest.mark.usefixtures("ingest")
async def test_a_principal_has_two_tests_at_a_time_over_all_organizations(
    client: httpx.AsyncClient, seed: Seed, attempt: Try, hanging: Hanging
) -> None:
    asking = [start(attempt(ROOT, f"{HANGS}?{n}")) for n in range(2)]
    await hanging.until(2)
    body = {"address": DOOR}

    refused = await client.post("/v1/stores/mall/cameras/test", json=body, headers=seed.headers(ROOT))
    another = await client.post("/v1/stores/mall/cameras/test", json=body, headers=seed.headers("admin@other"))
    of_a_camera = await client.post("/v1/cameras/door/test", headers=seed.headers("admin@acme"))
    await hang_up(*asking)

    assert (refused.status_code, another.status_code, of_a_camera.status_code) == (429, 200, 429)


async def test_who_hangs_up_gives_the_turn_back_though_the_source_still_hangs(
    settings: ServiceSettings, guarded: Served, attempt: Try, hanging: Hanging
) -> None:
    called_off: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(msg: Msg) -> None:
        called_off.put_nowait(msg.data)

    await guarded.bus.client.subscribe(PROBE_CANCEL, cb=hear)
    async with answering(settings, guarded.bus, FairTurns(at_once=2)):
        asking = [start(attempt("manager@acme", f"{HANGS}?{n}")) for n in range(2)]
        await hanging.until(2)
        assert (await attempt("manager@acme", DOOR)).status_code == 429
        await hang_up(*asking)
        async with asyncio.timeout(PATIENCE):
            ids = {await called_off.get() for _ in range(2)}
            while True:
                answer = await attempt("manager@acme", DOOR)
                if answer.status_code != 429:
                    break
                await asyncio.sleep(0.05)

        assert len(ids) == 2
        assert answer.json()["works"] is True
        assert not hanging.end.is_set()


async def test_every_replica_hears_what_is_called_off(
    settings: ServiceSettings, guarded: Served, ingest_bus: Bus, hanging: Hanging
) -> None:
    turns = [FairTurns(at_once=1), FairTurns(at_once=1)]
    async with answering(settings, guarded.bus, turns[0]), answering(settings, guarded.parts.bus, turns[1]):
        for n in range(8):
            probe = Probe(address=f"{HANGS}?{n}", organization=f"o{n}", id=f"p{n}")
            await ingest_bus.client.publish(PROBE, probe.model_dump_json().encode(), reply="_INBOX_nobody.1")
        await hanging.until(1)
        for n in range(8):
            await ingest_bus.client.publish(PROBE_CANCEL, f"p{n}".encode())
        await ingest_bus.client.flush()

        async with asyncio.timeout(PATIENCE):
            for one in turns:
                async with one.turn("later"):
                    pass


async def ask(bus: Bus, probe: Probe, patience: float) -> Probed | None:
    """The answer of an ingest; None where there is none."""
    with suppress(TimeoutError):
        reply = await bus.client.request(PROBE, probe.model_dump_json().encode(), timeout=patience)
        return Probed.model_validate_json(reply.data)
    return None


async def test_what_nobody_waits_for_any_more_when_its_turn_comes_is_not_opened(
    settings: ServiceSettings, guarded: Served, hanging: Hanging
) -> None:
    async with answering(settings, guarded.bus, FairTurns(at_once=1)):
        first = Probe(address=HANGS, organization="acme", id="first")
        await guarded.bus.client.publish(PROBE, first.model_dump_json().encode(), reply="_INBOX_nobody.1")
        await hanging.until(1)
        stale = Probe(address="sim://stale", organization="other", expires_at=time.time_ns() + 200_000_000)
        assert await ask(guarded.bus, stale, 1.0) is None
        late = Probe(address="sim://late", organization="other", expires_at=time.time_ns() - 1)
        assert await ask(guarded.bus, late, 0.5) is None
        await guarded.bus.client.publish(PROBE_CANCEL, b"first")

        fresh = await ask(guarded.bus, Probe(address=DOOR, organization="other"), PATIENCE)

    assert fresh is not None
    assert fresh.works
    assert hanging.opened == [HANGS, DOOR]


async def test_a_test_that_ends_while_the_source_reads_closes_it(
    settings: ServiceSettings, guarded: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = threading.Event()

    class Reading:
        name, size, fps = "reading", (1, 1), None

        def grab(self) -> None:
            assert closed.wait(60)

        def close(self) -> None:
            closed.set()

    opened = threading.Event()

    def open_reading(*_: object, **__: object) -> Reading:
        opened.set()
        return Reading()

    monkeypatch.setattr(probe_module, "open_source", open_reading)
    async with answering(settings, guarded.bus):
        probe = Probe(address=DOOR, organization="acme", id="reading")
        await guarded.bus.client.publish(PROBE, probe.model_dump_json().encode(), reply="_INBOX_nobody.1")
        assert await asyncio.to_thread(opened.wait, PATIENCE)
        await guarded.bus.client.publish(PROBE_CANCEL, b"reading")
        await guarded.bus.client.flush()

        assert await asyncio.to_thread(closed.wait, PATIENCE)


@pytest.mark.usefixtures("ingest")
async def test_what_a_source_breaks_with_is_told_without_the_address(
    attempt: Try, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row 7: an unexpected error's text may repeat the address."""

    def break_down(address: str, **_: object) -> FrameSource:
        raise RuntimeError(f"cannot make sense of {address}")

    monkeypatch.setattr(probe_module, "open_source", break_down)
    answer = await attempt("manager@acme", "rtsp://me:tlJwpbo6@10.0.0.5/live")

    assert answer.json()["message"].startswith("Unexpected: RuntimeError")
    assert "tlJwpbo6" not in answer.text + capsys.readouterr().out
