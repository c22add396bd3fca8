"""Rows 4 and 17: exports that nobody takes end, and nobody takes so many exports or streams that others get none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from datetime import date
from uuid import uuid4

import asyncpg
import httpx
import pytest

from services.api.access.principal import LOCAL, Principal
from services.api.history import export_endpoints
from services.api.http.problems import TooMany, Unavailable
from services.api.quotas import AllTaken, QuotaKind, Quotas, Shares, UsedUp
from services.api.settings import ApiSettings
from services.kit.http.limits import Limits
from services.kit.settings import ServiceSettings
from tests.api.seeded import Seed
from tests.api.served import BUFFER, PATIENCE, FakeClock, serving, until_ready

DAY = date(2026, 11, 20)
MANY = 60_000
"""Crossings of one day: several MB of CSV, more than lies ready anywhere."""
CSV = f"/v1/stores/shop/crossings.csv?from={DAY}&to={DAY}"
ALICE, BOB = Principal("alice", user=uuid4()), Principal("bob", user=uuid4())


class TestShares:
    def quotas(self, principal: int = 2, organization: int = 3, total: int = 5) -> Quotas:
        return Quotas({QuotaKind.EXPORT: Shares(principal, organization, total), QuotaKind.STREAM: Shares(1, 1, 1)})

    def test_of_one_principal_run_out(self) -> None:
        quotas = self.quotas()
        with ExitStack() as held:
            for organization in ("acme", "other"):
                held.enter_context(quotas.hold(QuotaKind.EXPORT, ALICE, organization))
            with pytest.raises(UsedUp) as refused, quotas.hold(QuotaKind.EXPORT, ALICE, "third"):
                pass
            assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "10"})
            with quotas.hold(QuotaKind.EXPORT, BOB, "acme"), quotas.hold(QuotaKind.STREAM, ALICE, "acme"):
                pass  # neither others nor another kind
        assert quotas.held(QuotaKind.EXPORT) == 0

    def test_of_one_organization_run_out(self) -> None:
        quotas = self.quotas()
        with ExitStack() as held:
            for number in range(3):
                held.enter_context(quotas.hold(QuotaKind.EXPORT, Principal(f"{number}", user=uuid4()), "acme"))
            with pytest.raises(TooMany, match="acme has 3 exports"), quotas.hold(QuotaKind.EXPORT, ALICE, "acme"):
                pass
            with quotas.hold(QuotaKind.EXPORT, ALICE, "other"):
                pass

    def test_of_all_together_run_out(self) -> None:
        quotas = self.quotas(total=2)
        with quotas.hold(QuotaKind.EXPORT, ALICE, "acme"), quotas.hold(QuotaKind.EXPORT, BOB, "other"):
            with pytest.raises(AllTaken, match="METRICA_MAX_EXPORTS") as refused:
                quotas.hold(QuotaKind.EXPORT, Principal("eve", user=uuid4()), "third").__enter__()
            assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "10"})

    def test_come_back_whatever_happens(self) -> None:
        quotas = self.quotas()
        for _ in range(10):
            with pytest.raises(RuntimeError), quotas.hold(QuotaKind.STREAM, ALICE, "acme"):
                raise RuntimeError
        assert quotas._held[QuotaKind.STREAM]["all"] == 0
        assert not set(quotas._held[QuotaKind.STREAM]) - {"all"}

    def test_without_sign_in_go_by_the_address(self) -> None:
        quotas = self.quotas(organization=9, total=9)
        with ExitStack() as held:
            for _ in range(2):
                held.enter_context(quotas.hold(QuotaKind.EXPORT, LOCAL, "acme", "127.0.0.1"))
            with pytest.raises(UsedUp), quotas.hold(QuotaKind.EXPORT, LOCAL, "acme", "127.0.0.1"):
                pass
            with quotas.hold(QuotaKind.EXPORT, LOCAL, "acme", "10.0.0.1"):
                pass

    def test_of_a_person_are_the_same_wherever_they_sit(self) -> None:
        quotas = self.quotas()
        with ExitStack() as held:
            for address in ("10.0.0.1", "10.0.0.2"):
                held.enter_context(quotas.hold(QuotaKind.EXPORT, ALICE, "acme", address))
            with pytest.raises(UsedUp), quotas.hold(QuotaKind.EXPORT, ALICE, "acme", "10.0.0.3"):
                pass

    def test_are_half_of_the_streams_for_an_organization(self) -> None:
        shares = ApiSettings.model_validate({"database_url": "postgresql://x", "max_streams": 7}).quotas._shares
        assert shares[QuotaKind.STREAM] == Shares(50, 4, 7)


@asynccontextmanager
async def running(
    settings: ServiceSettings, database_url: str, clock: FakeClock, limits: Limits | None = None, **said: int
) -> AsyncIterator[httpx.AsyncClient]:
    """The API with some limits, and somebody who takes 64 KB before they are read."""
    given: dict[str, object] = {"local_access": "none", **said}
    async with serving(settings, database_url, clock, limits=limits, **given) as parts:
        small = httpx.AsyncHTTPTransport(
            socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)], limits=httpx.Limits(max_connections=None)
        )
        address = f"http://127.0.0.1:{parts.settings.port}"
        async with httpx.AsyncClient(transport=small, base_url=address, timeout=PATIENCE) as client:
            await until_ready(client)
            yield client


async def exporting(pool: asyncpg.Pool) -> int:
    """The number of connections to the database that export."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()"
    return int(await pool.fetchval(query, "metrica-export"))


class TestExports:
    @pytest.fixture(autouse=True)
    async def many(self, seed: Seed, pool: asyncpg.Pool) -> None:
        await pool.execute(
            "CREATE TABLE crossing_y2026m11 PARTITION OF crossing FOR VALUES FROM ('2026-11-01') TO ('2026-12-01')"
        )
        await pool.execute(
            f"""
            INSERT INTO crossing (run, id, at, at_ns, store, camera, line, line_revision, direction, session, seq,
                                  place, spec_revision)
            SELECT 'live', gen_random_uuid(), timestamptz '{DAY} 08:00Z' + n * interval '100 ms', 0, store, 'door',
                   'entrance', 1, 'in', 's', n, 0.5, 1
            FROM generate_series(1, {MANY}) n, unnest('{{shop,mall}}'::text[]) store
            """
        )

    @pytest.mark.parametrize("guard", [True, False], ids=["the server's own limit", "the export's own limit"])
    async def test_that_nobody_takes_end(
        self,
        settings: ServiceSettings,
        api_database_url: str,
        pool: asyncpg.Pool,
        clock: FakeClock,
        seed: Seed,
        monkeypatch: pytest.MonkeyPatch,
        guard: bool,
    ) -> None:
        monkeypatch.setattr(export_endpoints, "SEND_TIMEOUT", 60.0 if guard else 0.5)
        limits = Limits(stall_seconds=0.5 if guard else 60.0)
        async with running(settings, api_database_url, clock, limits, max_exports_per_organization=2) as client:
            async with AsyncExitStack() as open_ones:
                for email in ("viewer@acme", "admin@acme"):
                    answer = await open_ones.enter_async_context(client.stream("GET", CSV, headers=seed.headers(email)))
                    assert answer.status_code == 200
                async with asyncio.timeout(PATIENCE):
                    while await exporting(pool):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                with pytest.raises(httpx.HTTPError):  # and nobody takes what has come for the whole
                    await answer.aread()
            again = await client.get(CSV.replace(str(DAY), "2026-11-01"), headers=seed.headers("viewer@acme"))
            assert again.status_code == 200

    async def test_that_last_too_long_end(
        self,
        settings: ServiceSettings,
        api_database_url: str,
        pool: asyncpg.Pool,
        clock: FakeClock,
        seed: Seed,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(export_endpoints, "LONGEST", 1.0)
        async with (
            running(settings, api_database_url, clock) as client,
            client.stream("GET", CSV, headers=seed.headers("viewer@acme")) as answer,
        ):

            async def take_slowly() -> None:
                async for _ in answer.aiter_raw(4096):
                    await asyncio.sleep(0.05)

            with pytest.raises(httpx.HTTPError):
                await asyncio.wait_for(take_slowly(), PATIENCE)
            async with asyncio.timeout(PATIENCE):
                while await exporting(pool):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    async def test_of_one_tenant_leave_room_for_another(
        self, settings: ServiceSettings, api_database_url: str, pool: asyncpg.Pool, clock: FakeClock, seed: Seed
    ) -> None:
        async with running(settings, api_database_url, clock) as client, AsyncExitStack() as open_ones:
            for _ in range(2):
                await open_ones.enter_async_context(client.stream("GET", CSV, headers=seed.headers("viewer@acme")))
            mine = await client.get(CSV, headers=seed.headers("viewer@acme"))
            colleagues = await client.get(CSV, headers=seed.headers("manager@acme"))
            machines = await client.get(CSV, headers={"Authorization": f"Bearer {seed.keys['acme-reader']}"})
            others = await client.get(CSV.replace("shop", "mall"), headers=seed.headers("admin@other"))
        for refused in (mine, colleagues, machines):
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
            assert refused.headers["content-type"] == "application/problem+json"
        assert (others.status_code, others.text.count("\n")) == (200, MANY + 1)


class TestStreams:
    async def status(
        self, client: httpx.AsyncClient, open_ones: AsyncExitStack, path: str, headers: dict[str, str]
    ) -> int:
        answer = await open_ones.enter_async_context(client.stream("GET", path, headers=headers))
        return answer.status_code

    @pytest.mark.parametrize(
        "path", ["/v1/stores/shop/events", "/v1/organizations/acme/events", "/v1/cameras/door/tracks"]
    )
    async def test_of_one_principal_run_out(
        self,
        settings: ServiceSettings,
        api_database_url: str,
        ingest_bus: object,
        clock: FakeClock,
        seed: Seed,
        path: str,
    ) -> None:
        viewer, manager = seed.headers("viewer@acme"), seed.headers("manager@acme")
        async with (
            running(settings, api_database_url, clock, max_streams_per_principal=2) as client,
            AsyncExitStack() as open_ones,
        ):
            told = [await self.status(client, open_ones, path, viewer) for _ in range(3)]
            assert told == [200, 200, 429]
            assert await self.status(client, open_ones, path, manager) == 200

    async def test_of_one_tenant_leave_room_for_another(
        self, settings: ServiceSettings, api_database_url: str, ingest_bus: object, clock: FakeClock, seed: Seed
    ) -> None:
        path = "/v1/stores/shop/events"
        async with running(settings, api_database_url, clock, max_streams=4) as client, AsyncExitStack() as open_ones:
            people = [seed.headers(email) for email in ("viewer@acme", "manager@acme", "admin@acme")]
            assert [await self.status(client, open_ones, path, one) for one in people] == [200, 200, 429]
            other = seed.headers("admin@other")
            told = [await self.status(client, open_ones, "/v1/stores/mall/events", other) for _ in range(3)]
            assert told == [200, 200, 429]

    async def test_come_back_when_they_end_and_when_they_never_began(
        self, settings: ServiceSettings, api_database_url: str, ingest_bus: object, clock: FakeClock, seed: Seed
    ) -> None:
        viewer = seed.headers("viewer@acme")
        async with running(settings, api_database_url, clock, max_streams_per_principal=1) as client:
            for path in ("/v1/stores/nowhere/events", "/v1/stores/mall/events", "/v1/cameras/nothing/tracks") * 2:
                assert (await client.get(path, headers=viewer)).status_code == 404
            for _ in range(3):
                async with asyncio.timeout(PATIENCE):
                    while True:
                        async with client.stream("GET", "/v1/stores/shop/events", headers=viewer) as answer:
                            if answer.status_code == 200:
                                break
                            assert answer.status_code == 429  # the one before is just being given back

    def test_of_all_are_refused_as_such(self) -> None:
        assert issubclass(AllTaken, Unavailable)
