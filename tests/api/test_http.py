"""Rules of every answer: who may ask, what protects the browser, how errors look, and the description."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import httpx
import pytest
from pydantic import ValidationError

from infra.local.ports import free_port
from infra.local.processes.nats import NatsServer
from infra.local.processes.postgres import PostgresServer
from services.api import database
from services.api.settings import ApiSettings
from services.kit.settings import ServiceSettings
from tests.api.served import BROWSER, FakeClock, Served, serving, until_ready
from tests.support.freezing import frozen


async def test_only_names_of_this_machine_are_answered(served: Served) -> None:
    for host in ("localhost", "127.0.0.1:8080", "[::1]:8080"):
        assert (await served.client.get("/v1/stores", headers={"Host": host})).status_code == 200, host
    for host in ("evil.example", "localhost.evil.example", "192.168.1.4:8080"):
        answer = await served.client.get("/v1/stores", headers={"Host": host})
        assert answer.status_code == 400, host
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_health_is_answered_by_any_name(served: Served) -> None:
    for path in ("/livez", "/readyz"):
        assert (await served.client.get(path, headers={"Host": "172.18.0.7:8080"})).status_code == 200, path


async def test_every_answer_is_guarded(served: Served) -> None:
    for path in ("/", "/app.js", "/v1/stores", "/docs/", "/nothing"):
        headers = (await served.client.get(path)).headers
        assert "script-src 'self';" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["cross-origin-resource-policy"] == "same-origin", path


async def test_errors_are_problems(served: Served) -> None:
    for path in ("/v1/nothing", "/v1/stores/no%20name/counts", "/v1/cameras/x/frame.jpg"):
        answer = await served.client.get(path)
        assert answer.headers["content-type"] == "application/problem+json", path
        assert answer.json()["status"] == answer.status_code
        assert answer.json()["instance"] == answer.request.url.path
        assert answer.json()["detail"]


async def test_a_wrong_method_is_a_problem(served: Served) -> None:
    answer = await served.client.delete("/v1/stores")

    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"


async def test_without_a_database_it_says_so_and_comes_back(served: Served, postgres_server: PostgresServer) -> None:
    postgres_server.stop()
    away, ready = await served.client.get("/v1/stores"), await served.client.get("/readyz")
    postgres_server.start()

    assert away.status_code == 503
    assert "database is away" in away.json()["detail"]
    assert ready.status_code == 503
    assert "database" in ready.text
    assert (await served.client.get("/v1/stores")).status_code == 200
    assert (await served.client.get("/livez")).text == "alive\n"


async def test_a_database_that_hangs_is_away_too(
    settings: ServiceSettings,
    api_database_url: str,
    clock: FakeClock,
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "COMMAND_TIMEOUT", 0.5)
    async with (
        serving(settings, api_database_url, clock) as parts,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{parts.settings.port}", timeout=30, headers=BROWSER) as client,
    ):
        await until_ready(client)
        assert (await client.get("/v1/stores")).status_code == 200
        with frozen(postgres_server.pid):  # as behind a cable that is out: nothing is refused, nothing answers
            assert (await client.get("/v1/stores")).status_code == 503
        assert (await client.get("/v1/stores")).status_code == 200


async def test_readiness_is_a_round_trip_to_jetstream(served: Served, nats_server: NatsServer) -> None:
    assert (await served.client.get("/readyz")).text == "ready\n"
    nats_server.kill()
    async with asyncio.timeout(5):
        while (answer := await served.client.get("/readyz")).status_code == 200:
            pass

    assert "jetstream" in answer.text
    assert (await served.client.get("/v1/stores")).status_code == 200, "counts need no bus"


async def test_metrics_are_prometheuss(served: Served) -> None:
    assert "# TYPE metrica_api_streams gauge" in (await served.client.get("/metrics")).text


async def test_every_route_is_described(served: Served) -> None:
    described = (await served.client.get("/openapi.json")).json()

    for path, methods in described["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path
            success = next(response for status, response in operation["responses"].items() if status.startswith("2"))
            assert "204" in operation["responses"] or success["content"], path
            for status, response in operation["responses"].items():
                if status.startswith("4") or (status == "503" and path.startswith("/v1")):
                    assert list(response["content"]) == ["application/problem+json"], (path, status)
            if path.startswith("/v1") and "application/json" in success.get("content", {}):
                assert success["content"]["application/json"]["schema"], path
    assert set(described["paths"]) >= {
        "/v1/stores",
        "/v1/stores/{store}/counts",
        "/v1/stores/{store}/events",
        "/v1/cameras/{camera}/frame.jpg",
    }


async def test_the_pages_ask_nobody_else(served: Served) -> None:
    for path in ("/", "/docs/", "/docs/events/"):
        page = await served.client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert "http://" not in page.text.replace("http://www.w3.org", "")
        assert "https://" not in page.text
    assert (await served.client.get("/docs")).headers["location"] == "docs/"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({}, "that takes METRICA_SECRET_KEY or METRICA_JWKS_URL, so that people sign in"),
        ({"secret_key": "x" * 20, "local_access": "viewer"}, "METRICA_LOCAL_ACCESS=none, so that everybody signs in"),
        ({"secret_key": "x" * 20}, "say in METRICA_HOSTS by which names"),
        ({"host": "127.0.0.1", "jwks_url": "https://id.example"}, "METRICA_JWKS_AUDIENCE go together"),
        ({"host": "127.0.0.1", "secret_key": "short"}, "METRICA_SECRET_KEY is shorter than 20 characters"),
    ],
)
def test_listening_wider_takes_a_sign_in(said: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ApiSettings.model_validate({"host": "0.0.0.0", "database_url": "postgresql://x", **said})


def test_listening_wider_answers_to_the_names_that_are_said() -> None:
    said = {"secret_key": "x" * 20, "database_url": "postgresql://x"}

    wide = ApiSettings.model_validate({"host": "0.0.0.0", "hosts": "shop.example, 10.0.0.4", **said})
    one = ApiSettings.model_validate({"host": "10.0.0.4", **said})

    assert (wide.other_hosts, one.other_hosts) == (["shop.example", "10.0.0.4"], ["10.0.0.4"])


async def test_sigterm_ends_it_at_once_with_browsers_connected(
    served: Served, settings: ServiceSettings, api_database_url: str
) -> None:
    await served.set_up()
    port = free_port()
    environment = {
        **os.environ,
        "METRICA_NATS_URL": settings.nats_url,
        "METRICA_NATS_USER": settings.nats_user or "",
        "METRICA_NATS_PASSWORD": settings.nats_password.get_secret_value() if settings.nats_password else "",
        "METRICA_DATABASE_URL": api_database_url,
        "METRICA_PORT": str(port),
        "METRICA_LOCAL_ACCESS": "viewer",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.api", env=environment)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10, headers=BROWSER) as client:
            await until_ready(client)

            async def browse(opened: asyncio.Semaphore) -> str:
                body = ""
                async with client.stream("GET", "/v1/stores/shop/events") as response:
                    async for text in response.aiter_text():
                        body += text
                        opened.release()
                return body

            opened = asyncio.Semaphore(0)
            browsers = [asyncio.create_task(browse(opened)) for _ in range(3)]
            for _ in browsers:
                await opened.acquire()
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(2):
                await process.wait()
                bodies = await asyncio.gather(*browsers)  # cut off cleanly: no browser saw a broken answer
        assert all("event: snapshot" in body for body in bodies)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
