"""Rows 3 to 6 and 17 at once: whatever one tenant does, another one's dashboard, export and camera test answer.

Prints how long they took before and meanwhile, and how the memory of the API and of ingest went.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from infra.local.stack import ADMIN_EMAIL, Stack
from services.kit.tasks import cancel_and_wait
from tests.security.attacker import Attacker, enormous_camera, many_descriptors, silent_camera

HALF_OPEN, STALLED_EXPORTS, HANGING_TESTS, STREAMS = 1500, 4, 12, 500
CROSSINGS = 200_000
FLAT = 150 * 2**20
"""Bytes by which a process may grow: much less than one picture of 16000×16000, which takes 768 MB unpacked."""
PATIENCE = 30.0
"""Seconds for what takes well under one alone: far less than what any of the attacks would make it wait."""


@dataclass(frozen=True)
class Tenant:
    """An organization with a store and an admin's key."""

    name: str
    key: str

    @property
    def store(self) -> str:
        """Its store's id."""
        return f"{self.name}-store"

    def client(self, stack: Stack) -> httpx.AsyncClient:
        """A program of the tenant's."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{stack.port}", headers=headers, timeout=PATIENCE)


@pytest.mark.timeout(300)
def test_one_tenants_attacks_do_not_keep_another_tenant_waiting(tmp_path: Path) -> None:
    own_cameras = {"METRICA_SOURCE_NETWORKS": "+127.0.0.0/8"}  # the attacker's cameras stand on this machine
    with Stack(tmp_path / "stack", durable=False, environment=own_cameras) as stack, many_descriptors():
        asyncio.run(_attack(stack))


async def _attack(stack: Stack) -> None:
    alpha, beta = await _tenants(stack)
    await _many_crossings(stack, alpha)
    await _use(stack, beta)  # what is done for the first time takes longer
    before = await _use(stack, beta)
    memory = _memory(stack)
    async with _under_attack(stack, alpha) as attacker:
        during = [await _use(stack, beta) for _ in range(3)]
        grown = {name: bytes_ - memory[name] for name, bytes_ in _peaks(stack, attacker.peaks).items()}
    for name, seconds in before.items():
        meanwhile = ", ".join(f"{one[name]:.2f}" for one in during)
        print(f"{name}: {seconds:.2f} s alone, {meanwhile} s under attack")
    for name, bytes_ in grown.items():
        print(f"{name}: {memory[name] / 2**20:.0f} MB before, {bytes_ / 2**20:+.0f} MB at the most")
    assert {name: bytes_ for name, bytes_ in grown.items() if bytes_ > FLAT} == {}


async def _tenants(stack: Stack) -> tuple[Tenant, Tenant]:
    stack.make_first_admin()
    password = stack.admin_password_file.read_text().strip()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{stack.port}", timeout=PATIENCE) as client:
        said = {"email": ADMIN_EMAIL, "password": password, "keep": "token"}
        token = _ok(await client.post("/v1/auth/sign-in", json=said)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        return await _tenant(client, "alpha"), await _tenant(client, "beta")


async def _tenant(client: httpx.AsyncClient, name: str) -> Tenant:
    _ok(await client.post("/v1/organizations", json={"id": name, "name": name.title()}))
    store = {"id": f"{name}-store", "organization": name, "name": name.title(), "time_zone": "UTC"}
    _ok(await client.post("/v1/stores", json=store))
    made = _ok(await client.post(f"/v1/organizations/{name}/keys", json={"name": "program", "role": "admin"})).json()
    return Tenant(name, made["key"])


async def _many_crossings(stack: Stack, tenant: Tenant) -> None:
    """More than lies in buffers on the way to somebody who takes nothing."""
    day = datetime.now(UTC).date()
    months = {(day - timedelta(days=days)).replace(day=1) for days in range(4)}
    connection = await asyncpg.connect(stack.database_url)
    try:
        for month in months:
            following = (month + timedelta(days=32)).replace(day=1)
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS crossing_y{month:%Y}m{month:%m} PARTITION OF crossing "
                f"FOR VALUES FROM ('{month}') TO ('{following}')"
            )
        await connection.execute(
            f"""
            INSERT INTO crossing (run, id, at, at_ns, store, camera, line, line_revision,
                                  direction, session, seq, place, spec_revision)
            SELECT 'live', md5(n::text)::uuid, now() - n * interval '1 second', 0, '{tenant.store}', 'door', 'entrance',
                   1, 'in', 's1', n, 0.5, 1 FROM generate_series(1, {CROSSINGS}) n
            """
        )
    finally:
        await connection.close()


async def _use(stack: Stack, tenant: Tenant) -> dict[str, float]:
    """Seconds that each thing takes that a person does, connecting included."""

    async def dashboard() -> None:
        assert (await client.get("/")).status_code == 200
        _ok(await client.get("/v1/stores"))
        async with client.stream("GET", f"/v1/stores/{tenant.store}/events") as stream:
            assert stream.status_code == 200, await stream.aread()
            async for line in stream.aiter_lines():
                if line.startswith("event: snapshot"):
                    break

    async def export() -> None:
        answer = await client.get(f"/v1/stores/{tenant.store}/crossings.csv")
        assert answer.status_code == 200, answer.text

    async def camera_test() -> None:
        answer = await client.post(f"/v1/stores/{tenant.store}/cameras/test", json={"address": "sim://door"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["works"], answer.text

    async with tenant.client(stack) as client:
        return {work.__name__: await _seconds(work) for work in (dashboard, export, camera_test)}


async def _seconds(work: Callable[[], Awaitable[None]]) -> float:
    began = time.monotonic()
    await work()
    return time.monotonic() - began


@dataclass
class Siege:
    """The attack, and the peaks that it causes."""

    attacker: Attacker
    peaks: dict[str, int]


@asynccontextmanager
async def _under_attack(stack: Stack, tenant: Tenant) -> AsyncIterator[Siege]:
    """Everything at once, until the context is left."""
    async with AsyncExitStack() as ending:

        def go_on(work: Coroutine[None, None, None]) -> None:
            ending.push_async_callback(cancel_and_wait, asyncio.create_task(work))

        silent = await ending.enter_async_context(silent_camera())
        enormous = await ending.enter_async_context(enormous_camera())
        siege = Siege(Attacker(stack.port), {})
        ending.callback(siege.attacker.close)
        client = await ending.enter_async_context(tenant.client(stack))
        go_on(_watch_memory(stack, siege.peaks))
        days = f"?from={datetime.now(UTC).date() - timedelta(days=3)}"
        await siege.attacker.untaken(STALLED_EXPORTS, f"/v1/stores/{tenant.store}/crossings.csv{days}", tenant.key)
        for _ in range(HANGING_TESTS):
            go_on(_test(client, tenant, silent))
        go_on(_test(client, tenant, enormous))
        camera = {"id": "enormous", "name": "Enormous", "address": enormous, "model": "motion"}
        _ok(await client.post(f"/v1/stores/{tenant.store}/cameras", json=camera))
        await siege.attacker.untaken(STREAMS, f"/v1/stores/{tenant.store}/events", tenant.key)
        await siege.attacker.half_open(HALF_OPEN)
        print(f"{siege.attacker.still_open()} of the attacker's connections are open")
        yield siege


async def _test(client: httpx.AsyncClient, tenant: Tenant, address: str) -> None:
    with contextlib.suppress(httpx.TransportError):
        await client.post(f"/v1/stores/{tenant.store}/cameras/test", json={"address": address})


async def _watch_memory(stack: Stack, peaks: dict[str, int]) -> None:
    while True:
        for name, bytes_ in _memory(stack).items():
            peaks[name] = max(bytes_, peaks.get(name, 0))
        await asyncio.sleep(0.05)


def _peaks(stack: Stack, peaks: dict[str, int]) -> dict[str, int]:
    return {name: max(bytes_, peaks.get(name, 0)) for name, bytes_ in _memory(stack).items()}


def _memory(stack: Stack) -> dict[str, int]:
    return {name: psutil.Process(stack.services[name].pid).memory_info().rss for name in ("api", "ingest")}


def _ok(answer: httpx.Response) -> httpx.Response:
    assert answer.is_success, answer.text
    return answer
