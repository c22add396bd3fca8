"""Row 18: what runs inside is shown to this machine and to who has the key; to others only whether it is ready.

Row 19: nothing of an organization's lies in a cache, and no answer says what serves it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from pydantic import ValidationError

from contracts.streams import Owner
from infra.local.ports import free_port
from infra.local.processes.nats import NatsServer
from services.kit.http.local import may_look_inside
from services.kit.settings import ServiceSettings
from tests.api.seeded import Seed
from tests.api.served import PATIENCE, FakeClock, replica

KEY = "a key of the test's own, 32 long."
OUTSIDE = {"Host": "172.18.0.7:8080"}
"""As Prometheus asks a container: by the address that it was given."""
REFUSED = [
    pytest.param({}, id="without a key"),
    pytest.param({"Authorization": f"Bearer {KEY}x"}, id="another key"),
    pytest.param({"Authorization": f"Bearer {KEY[:-1]}"}, id="a part of it"),
    pytest.param({"Authorization": "Bearer"}, id="an empty one"),
    pytest.param({"Authorization": f"Basic {KEY}"}, id="another scheme"),
    pytest.param({"Authorization": KEY}, id="no scheme"),
    pytest.param({"X-Forwarded-For": "127.0.0.1", "Host": "localhost"}, id="through a proxy"),
    pytest.param({"Forwarded": "for=127.0.0.1", "Host": "localhost"}, id="through another kind of proxy"),
    pytest.param({"Host": "rebound.example"}, id="by a name that was made to point here"),
]


@pytest.fixture
async def api(
    settings: ServiceSettings,
    api_database_url: str,
    clock: FakeClock,
    ingest_bus: object,
    seed: Seed,
) -> AsyncIterator[httpx.AsyncClient]:
    async with replica(settings, api_database_url, clock, metrics_key=KEY) as client:
        yield client


@pytest.fixture
def service(settings: ServiceSettings) -> Iterator[str]:
    """A service that is no API, in a process of its own; its address."""
    port = free_port()
    environment = {
        **os.environ,
        "METRICA_NATS_URL": settings.nats_url,
        "METRICA_NATS_USER": settings.nats_user or "",
        "METRICA_NATS_PASSWORD": settings.nats_password.get_secret_value() if settings.nats_password else "",
        "METRICA_PORT": str(port),
        "METRICA_METRICS_KEY": KEY,
        "UNWELL": "yes",
    }
    process = subprocess.Popen([sys.executable, "-m", "tests.support.tiny_service", Owner.TRACKER], env=environment)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


async def answers(client: httpx.AsyncClient) -> None:
    """Wait for a process to listen."""
    async with asyncio.timeout(3 * PATIENCE):
        while True:
            try:
                await client.get("/livez")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


class TestTheApi:
    async def test_this_machine_sees_metrics(self, api: httpx.AsyncClient) -> None:
        assert "metrica_api_streams" in (await api.get("/metrics")).text

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
    async def test_whoever_has_the_key_sees_metrics(self, api: httpx.AsyncClient, scheme: str) -> None:
        answer = await api.get("/metrics", headers={**OUTSIDE, "Authorization": f"{scheme} {KEY}"})
        assert answer.status_code == 200

    @pytest.mark.parametrize("headers", REFUSED)
    async def test_nobody_else_sees_metrics(self, api: httpx.AsyncClient, headers: dict[str, str]) -> None:
        answer = await api.get("/metrics", headers={**OUTSIDE, **headers})
        assert answer.status_code == 401
        assert "metrica_" not in answer.text

    async def test_an_admins_token_is_no_key(self, api: httpx.AsyncClient, seed: Seed) -> None:
        answer = await api.get("/metrics", headers={**OUTSIDE, **seed.headers("admin@acme")})
        assert answer.status_code == 401

    async def test_strangers_are_told_no_more_than_whether_it_is_ready(
        self, api: httpx.AsyncClient, nats_server: NatsServer
    ) -> None:
        assert (await api.get("/readyz", headers=OUTSIDE)).text == "ready\n"
        nats_server.kill()
        async with asyncio.timeout(PATIENCE):
            while (stranger := await api.get("/readyz", headers=OUTSIDE)).status_code == 200:
                pass
        assert (stranger.status_code, stranger.text) == (503, "not ready\n")
        assert "jetstream" in (await api.get("/readyz")).text
        assert "jetstream" in (await api.get("/readyz", headers={**OUTSIDE, "Authorization": f"Bearer {KEY}"})).text


class TestEveryOtherService:
    async def test_shows_its_inside_to_this_machine_and_to_who_has_the_key(self, service: str) -> None:
        async with httpx.AsyncClient(base_url=service, timeout=PATIENCE, follow_redirects=True) as client:
            await answers(client)
            key = {**OUTSIDE, "Authorization": f"Bearer {KEY}"}
            assert "python_info" in (await client.get("/metrics")).text
            assert "python_info" in (await client.get("/metrics", headers=key)).text
            async with asyncio.timeout(PATIENCE):
                while "the model is missing" not in (await client.get("/readyz")).text:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert "the model is missing" in (await client.get("/readyz", headers=key)).text
            for case in REFUSED:
                headers = {**OUTSIDE, **case.values[0]}  # type: ignore[dict-item]
                answer = await client.get("/metrics", headers=headers)
                assert (answer.status_code, "python_info" in answer.text) == (401, False), case.id
                assert (await client.get("/readyz", headers=headers)).text == "not ready\n", case.id
            assert (await client.get("/livez", headers=OUTSIDE)).text == "alive\n"
            assert "server" not in answer.headers


class TestTheKey:
    def test_without_one_only_this_machine_looks(self) -> None:
        scope = {"headers": [(b"host", b"metrics"), (b"authorization", b"Bearer ")], "client": ("10.0.0.1", 1)}
        assert not may_look_inside(scope, None)

    @pytest.mark.parametrize("key", ["short", "x" * 15])
    def test_is_hard_to_guess(self, key: str) -> None:
        with pytest.raises(ValidationError, match="at least 16"):
            ServiceSettings.model_validate({"metrics_key": key})

    def test_that_is_empty_is_none(self) -> None:
        assert ServiceSettings.model_validate({"metrics_key": ""}).metrics_secret is None


class TestCaches:
    @pytest.mark.parametrize(
        "path",
        [
            "/v1/stores",
            "/v1/organizations",
            "/v1/auth/me",
            "/v1/stores/shop",
            "/v1/nothing",
            "/v1/stores/shop/crossings.csv",
        ],
    )
    async def test_keep_nothing_of_the_api(self, api: httpx.AsyncClient, seed: Seed, path: str) -> None:
        for headers in ({}, seed.headers("admin@acme")):
            assert (await api.get(path, headers=headers)).headers["cache-control"] == "no-store"

    async def test_keep_no_tokens_and_no_keys(self, api: httpx.AsyncClient, seed: Seed) -> None:
        wanted = {"name": "till", "role": "viewer"}
        made = await api.post("/v1/organizations/acme/keys", json=wanted, headers=seed.headers("admin@acme"))
        assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")

    async def test_pages_are_still_asked_for_each_time(self, api: httpx.AsyncClient) -> None:
        answer = await api.get("/")
        assert answer.headers["cache-control"] == "no-cache"
        again = await api.get("/", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304

    async def test_no_answer_says_what_serves_it(self, api: httpx.AsyncClient) -> None:
        for path in ("/", "/v1/stores", "/livez", "/nothing"):
            headers = (await api.get(path)).headers
            assert "server" not in headers
            assert "x-powered-by" not in headers
