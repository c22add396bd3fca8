"""The life of every service: alive, ready, measured, and ended in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from contracts.streams import Owner
from infra.local.ports import free_port
from infra.local.processes.nats import NatsServer
from infra.local.processes.process import kill_session, spawn
from infra.local.processes.unprivileged import program_folders, service_user
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, eventually, stored

ROOT = Path(__file__).parents[2]


class Service:
    """The tiny service, running."""

    def __init__(self, server: NatsServer, folder: Path, more: dict[str, str]) -> None:
        self.port = free_port()
        self.log = folder / f"service-{self.port}.log"
        environment = {**os.environ, **server.environment("tracker"), **more}
        environment |= {"METRICA_PORT": str(self.port), "PYTHONPATH": str(ROOT)}
        self.process: Popen[bytes] = spawn(
            [sys.executable, "-m", "tests.support.tiny_service"],
            log=self.log,
            env=environment,
            user=service_user(Owner.TRACKER),
            reads=program_folders(),
        )

    async def get(self, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(self._get, path)

    def _get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    async def shows(self, path: str, status: int, text: str) -> None:
        async def look() -> bool:
            found = await self.get(path)
            return found[0] == status and text in found[1]

        await eventually(look)

    async def ended(self, within: float) -> int:
        return await asyncio.to_thread(self.process.wait, within)

    async def says(self, text: str) -> None:
        async def look() -> bool:
            return text in self.log.read_text()

        await eventually(look)


REFUSED = "jetstream: NATS refuses the user tracker: METRICA_NATS_USER and METRICA_NATS_PASSWORD are not those of one"

Start = Callable[..., Service]


@pytest.fixture
def start(nats_server: NatsServer, tmp_path: Path) -> Iterator[Start]:
    """Start the tiny service, with more in its environment."""
    services: list[Service] = []

    def start(**more: str) -> Service:
        services.append(Service(nats_server, tmp_path, more))
        return services[-1]

    yield start
    for service in services:
        kill_session(service.process)


async def test_readiness_follows_nats_and_an_orderly_end_comes_before_the_connection_closes(
    start: Start, nats_server: NatsServer, settings: ServiceSettings
) -> None:
    service = start()
    await service.says("working")
    await service.shows("/readyz", 200, "ready")
    assert (await service.get("/livez"))[0] == 200
    assert "python_info" in (await service.get("/metrics"))[1]

    nats_server.kill()
    await service.shows("/readyz", 503, "jetstream: NATS is away")
    assert (await service.get("/livez"))[0] == 200
    nats_server.start()
    await service.shows("/readyz", 200, "ready")

    service.process.send_signal(signal.SIGTERM)
    assert await service.ended(10) in (0, -signal.SIGTERM)
    log = service.log.read_text()
    assert log.index("left in order") < log.index("stopped")
    assert "Traceback" not in log
    async with connected(settings) as bus:
        assert await stored(bus, "CROSSINGS") == [b"last words"]


async def test_it_ends_within_seconds_while_nats_is_away(start: Start, nats_server: NatsServer) -> None:
    service = start()
    await service.says("working")
    nats_server.kill()
    await service.shows("/readyz", 503, "NATS is away")

    service.process.send_signal(signal.SIGTERM)
    await service.ended(10)

    log = service.log.read_text()
    assert "left in order" in log
    assert "Traceback" not in log


async def test_it_waits_for_a_server_that_comes_later(start: Start, nats_server: NatsServer) -> None:
    nats_server.kill()
    service = start()
    await asyncio.wait([asyncio.create_task(service.ended(20))], timeout=1.5)
    assert service.process.poll() is None

    nats_server.start()
    await service.shows("/readyz", 200, "ready")
    service.process.kill()


async def test_a_wrong_password_is_told_and_tried_again_until_it_is_right(
    start: Start, nats_server: NatsServer
) -> None:
    service = start()
    await service.shows("/readyz", 200, "ready")
    right = nats_server.passwords["tracker"]

    for password, status, text in (("another", 503, REFUSED), (right, 200, "ready")):
        nats_server.kill()
        nats_server.passwords["tracker"] = password
        nats_server.start()
        await service.shows("/readyz", status, text)
    assert service.process.poll() is None


async def test_a_wrong_password_from_the_start_is_told_once_and_tried_again(
    start: Start, nats_server: NatsServer
) -> None:
    service = start(METRICA_NATS_PASSWORD="another")
    await service.shows("/readyz", 503, REFUSED)
    assert (await service.get("/livez"))[0] == 200

    async def tried_again() -> bool:
        return nats_server.log.read_text().count("authentication error") > 1

    await eventually(tried_again)
    assert service.log.read_text().count("no way into NATS") == 1
    nats_server.kill()
    nats_server.passwords["tracker"] = "another"
    nats_server.start()
    await service.shows("/readyz", 200, "ready")


async def test_it_ends_within_seconds_while_nats_refuses_its_password(start: Start) -> None:
    service = start(METRICA_NATS_PASSWORD="another")
    await service.shows("/readyz", 503, "NATS refuses the user tracker")

    service.process.send_signal(signal.SIGTERM)
    await service.ended(10)
    assert "Traceback" not in service.log.read_text()


@pytest.mark.trespass
async def test_what_nats_does_not_permit_is_logged_once_and_named_when_it_is_not_ready(start: Start) -> None:
    service = start(TRESPASS="yes")

    await service.shows("/readyz", 503, "permissions: NATS does not let the user tracker ")
    await service.shows("/readyz", 503, "publish to metrica.live.counts.Shop")
    await service.shows("/readyz", 503, "subscribe to _INBOX_api.>")
    log = service.log.read_text()
    assert log.count("publish to metrica.live.counts.Shop") == 1
    assert log.count("subscribe to _INBOX_api.>") == 1
    assert (await service.get("/livez"))[0] == 200


async def test_work_that_fails_ends_the_process_and_says_why(start: Start) -> None:
    service = start(BREAK="yes")

    assert await service.ended(20) == 1
    log = service.log.read_text()
    assert "the service cannot go on" in log
    assert "broken beyond repair" in log


async def test_a_services_own_check_is_named_when_it_is_not_ready(start: Start) -> None:
    service = start(UNWELL="yes")

    await service.shows("/readyz", 503, "model: the model is missing")


async def test_a_missing_stream_is_named_when_it_is_not_ready(start: Start, settings: ServiceSettings) -> None:
    service = start()
    await service.shows("/readyz", 200, "ready")

    async with connected(settings) as bus:
        await bus.js.delete_stream("CROSSINGS")
    await service.shows("/readyz", 503, "jetstream: ")


async def test_it_refuses_to_listen_for_other_machines(start: Start) -> None:
    service = start(METRICA_HOST="0.0.0.0")

    assert await service.ended(20) == 1
    assert "METRICA_HOST=0.0.0.0 would let other machines in" in service.log.read_text()
