"""Row 15: nobody fills the log of changes: changes are limited per principal, entries in size, the log in months."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from math import cos, sin, tau

import asyncpg
import httpx
import pytest

from services.api.access.principal import Principal
from services.api.audit_log import LONGEST_SIDE
from services.api.change_quota import WINDOW, ChangeQuota
from services.api.http.problems import TooMany
from services.kit.settings import ServiceSettings
from services.persistence.retention import LOG_MONTHS_KEPT, purge
from tests.api.seeded import Seed
from tests.api.served import FakeClock, Served, replica

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CORNERS = [[0.5 + 0.4 * cos(n * tau / 100), 0.5 + 0.4 * sin(n * tau / 100)] for n in range(100)]
"""Of a polygon that is nearly a circle."""


class TestChanges:
    def test_of_one_principal_are_limited(self) -> None:
        clock = FakeClock(NOW)
        changes, alice, bob = ChangeQuota(3, clock), Principal("alice"), Principal("bob")
        for _ in range(3):
            changes.count(alice)
            clock.now += timedelta(minutes=1)
        with pytest.raises(TooMany, match="3 changes within 10 minutes") as refused:
            changes.count(alice)
        assert refused.value.headers == {"Retry-After": str(7 * 60 + 1)}
        changes.count(bob)
        clock.now = NOW + WINDOW
        changes.count(alice)

    def test_of_those_who_are_long_gone_are_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("services.api.change_quota.REMEMBERED", 5)
        clock = FakeClock(NOW)
        changes = ChangeQuota(3, clock)
        for number in range(20):
            changes.count(Principal(f"{number}"))
            clock.now += WINDOW
        assert len(changes._made) <= 6

    async def test_beyond_them_every_way_to_change_is_429(
        self, settings: ServiceSettings, api_database_url: str, clock: FakeClock, seed: Seed
    ) -> None:
        admin, manager = seed.headers("admin@acme"), seed.headers("manager@acme")
        async with replica(settings, api_database_url, clock, max_changes=4) as client:
            for number in range(4):  # those that are refused count, too
                body = {"name": f"Shop {number}"} if number % 2 else {"name": ""}
                answer = await client.patch("/v1/stores/shop", json={"capacity": number + 1}, headers=manager)
                assert answer.status_code == 200, body
            for method, path, json_ in (
                ("PATCH", "/v1/stores/shop", {"capacity": 9}),
                ("PUT", "/v1/cameras/door/zones", {"zones": []}),
                ("PUT", "/v1/cameras/door/lines", {"lines": []}),
                ("PATCH", "/v1/cameras/door", {"paused": True}),
                ("DELETE", "/v1/cameras/door", None),
                ("POST", "/v1/stores/shop/cameras", {"address": "sim://door"}),
                ("POST", "/v1/stores/shop/occupancy/corrections", {"inside": 3}),
            ):
                answer = await client.request(method, path, json=json_, headers=manager)
                assert answer.status_code == 429, path
                assert int(answer.headers["retry-after"]) > 0
            assert (await client.get("/v1/stores/shop", headers=manager)).status_code == 200, "reading goes on"
            assert (await client.patch("/v1/stores/shop", json={"capacity": 8}, headers=admin)).status_code == 200


async def entries(client: httpx.AsyncClient, seed: Seed) -> list[dict[str, object]]:
    """The log, the newest first."""
    answer = await client.get("/v1/organizations/acme/changes?limit=100", headers=seed.headers("admin@acme"))
    found: list[dict[str, object]] = answer.json()["items"]
    return found


class TestEntries:
    async def test_are_bounded_in_size_and_recognised_by_a_hash(self, guarded: Served, seed: Seed) -> None:
        manager = seed.headers("manager@acme")
        for shift in (0.0, 0.001):
            polygon = [[x + shift, y] for x, y in CORNERS]
            zones = [{"id": f"zone-{n}", "name": "n" * 100, "polygon": polygon} for n in range(50)]
            answer = await guarded.client.put("/v1/cameras/door/zones", json={"zones": zones}, headers=manager)
            assert answer.status_code == 200, answer.text
        found = [one for one in await entries(guarded.client, seed) if one["kind"] == "zone"]
        assert len(found) == 100
        for one in found:
            for side in ("before", "after"):
                assert len(json.dumps(one[side])) <= LONGEST_SIDE
        changed = next(one for one in found if one["action"] == "changed")
        before, after = changed["before"]["polygon"], changed["after"]["polygon"]  # type: ignore[index]
        assert (before["cut"], after["cut"]) == (True, True)
        assert before["sha256"] != after["sha256"]
        size = await guarded.pool.fetchval("SELECT sum(pg_column_size(a.*)) FROM audit_entry a")
        assert size < 100_000, "it was 145 KB for each of them, packed"

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/v1/cameras/door", {"detection": {"regions": [CORNERS] * 3}}),
            ("/v1/cameras/door", {"address": "rtsp://camera.example/" + "x" * 1900}),
        ],
    )
    async def test_of_every_kind_are_bounded(
        self, guarded: Served, seed: Seed, path: str, body: dict[str, object]
    ) -> None:
        answer = await guarded.client.patch(path, json=body, headers=seed.headers("manager@acme"))
        assert answer.status_code == 200, answer.text
        (newest, *_) = await entries(guarded.client, seed)
        assert len(json.dumps(newest)) < 2 * LONGEST_SIDE + 500

    async def test_that_are_short_are_whole(self, guarded: Served, seed: Seed) -> None:
        manager = seed.headers("manager@acme")
        await guarded.client.patch("/v1/stores/shop", json={"name": "Ladenstraße 日本"}, headers=manager)
        (newest, *_) = await entries(guarded.client, seed)
        assert newest["after"] == {"name": "Ladenstraße 日本"}


async def test_the_log_is_kept_for_months_and_not_for_ever(pool: asyncpg.Pool, seed: Seed) -> None:
    boundary = datetime(2026 - LOG_MONTHS_KEPT // 12, 11, 1, tzinfo=UTC)
    for at in (boundary - timedelta(seconds=1), boundary, NOW):
        await pool.execute(
            "INSERT INTO audit_entry (at, who, action, kind, key) VALUES ($1, 'me', 'changed', 'store', 'shop')", at
        )
    purged = await purge(pool, NOW)
    assert purged.changes == 1
    assert await pool.fetchval("SELECT min(at) FROM audit_entry") == boundary
    assert (await purge(pool, NOW, log_months_kept=1)).changes == 1
    assert (await purge(pool, NOW, log_months_kept=1)).changes == 0
