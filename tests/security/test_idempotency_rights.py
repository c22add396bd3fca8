"""Row 14: what was answered once is told to nobody who may no longer ask; keys end with their maker's right."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.seeded import ROOT, Seed
from tests.api.served import Served

KEYS = "/v1/organizations/acme/keys"
MEMBERS = "/v1/organizations/acme/members"
ONCE = {"Idempotency-Key": "0b9f1c1e"}
KEY = {"name": "till", "role": "viewer"}


async def make_key(client: httpx.AsyncClient, headers: dict[str, str], **said: str) -> dict[str, Any]:
    """A new key."""
    answer = await client.post(KEYS, json={**KEY, **said}, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def bearer(key: dict[str, Any]) -> dict[str, str]:
    """The headers of a machine with a key."""
    return {"Authorization": f"Bearer {key['key']}"}


async def works(client: httpx.AsyncClient, key: dict[str, Any]) -> bool:
    """Tell whether a key is let in."""
    return (await client.get("/v1/stores", headers=bearer(key))).status_code == 200


CREATED = [
    (KEYS, KEY),
    ("/v1/organizations/acme/invitations", {"email": "new@acme", "role": "viewer"}),
    ("/v1/stores", {"organization": "acme", "name": "New", "time_zone": "UTC"}),
    ("/v1/stores/shop/cameras", {"id": "new", "address": "sim://door"}),
]


class TestTheMemory:
    async def once(
        self, client: httpx.AsyncClient, seed: Seed, path: str, body: dict[str, object], email: str = "admin@acme"
    ) -> httpx.Response:
        return await client.post(path, json=body, headers={**seed.headers(email), **ONCE})

    @pytest.mark.parametrize(("path", "body"), CREATED)
    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ("DELETE FROM membership WHERE \"user\" = $1 AND organization = 'acme'", 404),
            ("UPDATE membership SET role = 'viewer' WHERE \"user\" = $1", 403),
            ("UPDATE account SET disabled = true WHERE id = $1", 401),
            ('DELETE FROM sign_in WHERE "user" = $1', 401),
        ],
        ids=["removed", "a viewer now", "disabled", "signed out"],
    )
    async def test_tells_nothing_to_who_may_no_longer(
        self, guarded: Served, seed: Seed, path: str, body: dict[str, object], change: str, status: int
    ) -> None:
        first = await self.once(guarded.client, seed, path, body)
        assert first.status_code == 201, first.text
        await guarded.pool.execute(change, seed.user("admin@acme"))

        again = await self.once(guarded.client, seed, path, body)

        assert again.status_code == status
        assert "idempotency-replayed" not in again.headers
        for secret in ("key", "password"):
            assert not first.json().get(secret) or first.json()[secret] not in again.text

    async def test_tells_a_superadmin_of_before_nothing(self, guarded: Served, seed: Seed) -> None:
        body: dict[str, object] = {"name": "Third"}
        assert (await self.once(guarded.client, seed, "/v1/organizations", body, ROOT)).status_code == 201
        await guarded.pool.execute("UPDATE account SET superadmin = false WHERE email = $1", ROOT)
        assert (await self.once(guarded.client, seed, "/v1/organizations", body, ROOT)).status_code == 403

    async def test_tells_who_still_may_the_same_again(self, guarded: Served, seed: Seed) -> None:
        first, again = [await self.once(guarded.client, seed, KEYS, dict(KEY)) for _ in range(2)]
        assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
        assert again.json() == first.json()

    async def test_is_of_a_person_and_not_of_a_name(self, guarded: Served, seed: Seed) -> None:
        """An address that is given to somebody else brings nothing of what was answered to the one before."""
        await self.once(guarded.client, seed, KEYS, dict(KEY))
        await guarded.pool.execute("UPDATE account SET email = 'former@acme' WHERE email = 'admin@acme'")
        await guarded.pool.execute("UPDATE account SET email = 'admin@acme' WHERE email = 'manager@acme'")
        await guarded.pool.execute("UPDATE membership SET role = 'admin'")
        again = await self.once(guarded.client, seed, KEYS, dict(KEY), "manager@acme")
        assert (again.status_code, "idempotency-replayed" in again.headers) == (201, False)

    async def test_of_a_revoked_key_is_not_told(self, guarded: Served, seed: Seed) -> None:
        admins = await make_key(guarded.client, seed.headers("admin@acme"), role="admin")
        headers = {**bearer(admins), **ONCE}
        assert (await guarded.client.post(KEYS, json=KEY, headers=headers)).status_code == 201
        await guarded.client.delete(f"{KEYS}/{admins['id']}", headers=seed.headers("admin@acme"))
        assert (await guarded.client.post(KEYS, json=KEY, headers=headers)).status_code == 401


class TestKeys:
    @pytest.fixture
    async def second(self, guarded: Served, seed: Seed) -> dict[str, str]:
        """The manager, an admin for now."""
        await guarded.pool.execute(
            "UPDATE membership SET role = 'admin' WHERE \"user\" = $1", seed.user("manager@acme")
        )
        return seed.headers("manager@acme")

    async def test_show_who_made_them(self, guarded: Served, seed: Seed, second: dict[str, str]) -> None:
        made = await make_key(guarded.client, second, role="admin")
        by_it = await make_key(guarded.client, bearer(made))
        listed = (await guarded.client.get(KEYS, headers=seed.headers("admin@acme"))).json()["items"]
        makers = {key["id"]: key["made_by"] for key in listed}
        maker = str(seed.user("manager@acme"))
        assert (makers[made["id"]], makers[by_it["id"]]) == (maker, maker), "a key's key is its maker's, too"
        assert makers[str(seed.key_ids["acme-reader"])] is None

    @pytest.mark.parametrize("way", ["removed", "no admin any more", "disabled"])
    async def test_end_with_their_makers_right(
        self, guarded: Served, seed: Seed, second: dict[str, str], way: str
    ) -> None:
        client, admin, user = guarded.client, seed.headers("admin@acme"), seed.user("manager@acme")
        own = await make_key(client, second, role="admin")
        by_it = await make_key(client, bearer(own))
        worker = await make_key(client, second, role="worker", store="shop")
        others = await make_key(client, admin)
        assert await works(client, own)
        assert await works(client, by_it)

        if way == "removed":
            answer = await client.delete(f"{MEMBERS}/{user}", headers=admin)
        elif way == "disabled":
            answer = await client.patch(f"/v1/users/{user}", json={"disabled": True}, headers=seed.headers(ROOT))
        else:
            answer = await client.patch(f"{MEMBERS}/{user}", json={"role": "manager"}, headers=admin)
        assert answer.is_success, answer.text

        assert not await works(client, own)
        assert not await works(client, by_it)
        assert await works(client, others)
        sent = await client.post("/v1/ingest/crossings", json={"events": [{}]}, headers={"X-Worker-Key": worker["key"]})
        assert sent.status_code == 200, "a worker at the edge goes on counting"
        log = (await client.get("/v1/organizations/acme/changes", headers=admin)).json()["items"]
        revoked = {one["key"] for one in log if one["kind"] == "key" and one["action"] == "changed"}
        assert revoked == {own["id"], by_it["id"]}

    async def test_of_another_organization_stay(self, guarded: Served, seed: Seed, second: dict[str, str]) -> None:
        user = seed.user("manager@acme")
        await guarded.pool.execute("INSERT INTO membership VALUES ($1, 'other', 'admin')", user)
        elsewhere = await guarded.client.post("/v1/organizations/other/keys", json=KEY, headers=second)
        here = await make_key(guarded.client, second)
        await guarded.client.delete(f"{MEMBERS}/{user}", headers=seed.headers("admin@acme"))
        assert await works(guarded.client, elsewhere.json())
        assert not await works(guarded.client, here)

    async def test_of_a_superadmin_of_before_end_where_they_are_no_admin(self, guarded: Served, seed: Seed) -> None:
        user = seed.user("manager@acme")
        await guarded.pool.execute("UPDATE account SET superadmin = true WHERE id = $1", user)
        headers = seed.headers("manager@acme")
        mine = await make_key(guarded.client, headers)
        theirs = (await guarded.client.post("/v1/organizations/other/keys", json=KEY, headers=headers)).json()
        await guarded.pool.execute("UPDATE membership SET role = 'admin' WHERE \"user\" = $1", user)
        root = seed.headers(ROOT)
        assert (await guarded.client.patch(f"/v1/users/{user}", json={"superadmin": False}, headers=root)).is_success
        assert await works(guarded.client, mine)
        assert not await works(guarded.client, theirs)
