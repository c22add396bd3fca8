"""Data of another organization is not there (Holds: "308 requests", "worker key for another store's camera").

The requests are made from the API's description: every route, every id in its path and body, every caller. A route that
is new is tried without anybody thinking of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.api.callers import Callers
from tests.api.seeded import Seed
from tests.api.served import Served
from tests.api.test_access_table import Takes
from tests.security.attempts import NEVER_TENANTS, Operation, filled, ids, operations
from tests.security.conftest import MARK

CALLERS = ("anonymous", "viewer", "manager", "admin", "reader's key", "worker key")
OVERRIDES: tuple[dict[str, str], ...] = (
    {"X-HTTP-Method-Override": "GET"},
    {"X-Original-URL": "/v1/stores/mall", "X-Rewrite-URL": "/v1/stores/mall"},
    {"X-User": "admin@other", "X-Forwarded-User": "admin@other", "Remote-User": "admin@other"},
    {"X-Organization": "other", "X-Tenant": "other", "X-Store": "mall"},
    {"Forwarded": "for=127.0.0.1;host=localhost", "X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
)
BARRED = {401, 403, 404}


async def ask(
    client: httpx.AsyncClient,
    operation: Operation,
    path: str,
    headers: Mapping[str, str],
    body: Any = None,  # noqa: ANN401  # JSON
) -> tuple[int, str]:
    """The status, and all that is told: a live stream of which something is shown is let run for a moment."""
    content = None if body is None else json.dumps(body).encode()
    said = {"Content-Type": "application/json", **headers}
    client.cookies.clear()
    async with client.stream(operation.method, path, params=operation.query, content=content, headers=said) as answer:
        told = str(answer.headers)
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            return answer.status_code, told + (await answer.aread()).decode(errors="replace")
        try:
            async with asyncio.timeout(0.3):
                async for part in answer.aiter_text():
                    told += part
        except TimeoutError:
            pass
        return answer.status_code, told


@pytest.mark.parametrize("caller", CALLERS)
async def test_no_route_lets_anybody_to_what_another_organization_has(
    caller: str, guarded: Served, marked: Seed
) -> None:
    """Each id of a path in turn is beta's, the others alpha's; then all are."""
    headers, wrong = await Callers(guarded, marked).headers(caller), list[str]()
    ours, theirs = ids("acme", marked), ids("other", marked)
    for operation in operations():
        if NEVER_TENANTS.match(operation.path) or not operation.parameters:
            continue
        for foreign in {*((name,) for name in operation.parameters), operation.parameters}:
            things = {**ours, **{name: theirs[name] for name in foreign}}
            path = operation.path.format(**things)
            status, told = await ask(guarded.client, operation, path, headers, filled(operation.body, things))
            if status not in BARRED or MARK in told:
                wrong.append(f"{operation} with {foreign} of beta's: {status} {told[-300:]}")

    assert wrong == []


@pytest.mark.parametrize("caller", [*CALLERS, "other admin"])
async def test_no_list_shows_what_another_organization_has(caller: str, guarded: Served, marked: Seed) -> None:
    """Routes without an id, and alpha's own: whatever is shown is the caller's. Beta's admin is shown the mark."""
    headers, seen = await Callers(guarded, marked).headers(caller), list[str]()
    of = "other" if caller == "other admin" else "acme"
    for operation in operations():
        if operation.method == "GET":
            path = operation.path.format(**ids(of, marked))
            _, told = await ask(guarded.client, operation, path, headers)
            if MARK in told:
                seen.append(str(operation))

    assert (len(seen) > 5) if of == "other" else seen == [], seen


@pytest.mark.parametrize("caller", CALLERS)
async def test_no_body_reaches_what_another_organization_has(caller: str, guarded: Served, marked: Seed) -> None:
    """Alpha's ids in the path, beta's in every field of the body that can name a thing."""
    headers, wrong = await Callers(guarded, marked).headers(caller), list[str]()
    ours, theirs = ids("acme", marked), ids("other", marked)
    for operation in operations():
        body = operation.body
        if NEVER_TENANTS.match(operation.path) or not isinstance(body, dict):
            continue
        for name in ("organization", "store", "camera"):
            path = operation.path.format(**ours)
            status, told = await ask(
                guarded.client, operation, path, headers, {**filled(body, ours), name: theirs[name]}
            )
            if status < 300 or MARK in told:
                wrong.append(f"{operation} with {name} of beta's: {status} {told[-300:]}")

    assert wrong == []
    assert await guarded.pool.fetchval("SELECT count(*) FROM store WHERE organization = 'other'") == 1
    assert await guarded.pool.fetchval("SELECT count(*) FROM camera WHERE store = 'mall'") == 1
    assert await guarded.pool.fetchval("SELECT count(*) FROM api_key WHERE store = 'mall'") == 1


@pytest.mark.parametrize("spoof", OVERRIDES, ids=lambda spoof: next(iter(spoof)))
async def test_no_header_makes_one_somebody_else(spoof: dict[str, str], guarded: Served, marked: Seed) -> None:
    wrong = []
    for operation in operations():
        if operation.takes in {Takes.VIEWER, Takes.ADMIN} and operation.method == "GET":
            path = operation.path.format(**ids("other", marked))
            for headers in ({}, marked.headers("admin@acme")):
                status, told = await ask(guarded.client, operation, path, {**headers, **spoof})
                if status not in BARRED or MARK in told:
                    wrong.append(f"{operation}: {status} {told[-200:]}")

    assert wrong == []


async def test_a_cursor_of_another_organization_shows_nothing_of_it(guarded: Served, marked: Seed) -> None:
    """A cursor says where a page begins, not whose it is."""
    for operation in operations():
        names = set(operation.parameters)
        if operation.method != "GET" or not names & {"organization", "store"} or names - {"organization", "store"}:
            continue
        if operation.path.endswith("/events"):
            continue  # a live stream has no pages, and no end
        theirs = await guarded.client.get(
            operation.path.format(**ids("other", marked)), params={"limit": 1}, headers=marked.headers("admin@other")
        )
        if theirs.status_code != 200 or "json" not in theirs.headers["content-type"]:
            continue
        cursor = theirs.json().get("next") if isinstance(theirs.json(), dict) else None
        if cursor:
            path = operation.path.format(**ids("acme", marked))
            answer = await guarded.client.get(path, params={"cursor": cursor}, headers=marked.headers("admin@acme"))
            assert MARK not in answer.text, operation


async def test_an_answer_does_not_tell_whether_an_id_is_somebody_elses_or_nobodys(
    guarded: Served, marked: Seed
) -> None:
    """Status, headers and words are the same, but for the id that was asked for."""
    admin = marked.headers("admin@acme")
    nobodys = {
        "organization": "nobody",
        "store": "none",
        "camera": "nope",
        "user": "00000000-0000-4000-8000-00000000dead",
        "key": "00000000-0000-4000-8000-00000000beef",
    }
    theirs, wrong = ids("other", marked), list[str]()
    for operation in operations():
        names = operation.parameters
        if NEVER_TENANTS.match(operation.path) or not names or not set(names) <= set(nobodys):
            continue
        told = []
        for things in (theirs, nobodys):
            path = operation.path.format(**{**ids("acme", marked), names[-1]: things[names[-1]]})
            body = filled(operation.body, ids("acme", marked))
            said = {"Content-Type": "application/json", **admin}
            answer = await guarded.client.request(
                operation.method, path, params=operation.query, content=json.dumps(body) if body else None, headers=said
            )
            told.append((answer.status_code, answer.text.replace(things[names[-1]], "it")))
        if told[0] != told[1]:
            wrong.append(f"{operation}: {told}")

    assert wrong == []


@pytest.mark.usefixtures("tracker_bus")
async def test_a_workers_key_counts_at_its_own_store_alone(guarded: Served, marked: Seed) -> None:
    """Row "worker key for another store's camera": refused one by one."""
    event = {"id": "1", "camera": "gate", "line": "entrance", "direction": "in", "at": guarded.clock().isoformat()}
    for camera in ("gate", "GATE", "gate ", "mall.gate", "*", "door,gate", ""):
        answer = await guarded.client.post(
            "/v1/ingest/crossings",
            json={"events": [{**event, "camera": camera}]},
            headers={"X-Worker-Key": marked.keys["acme-worker"]},
        )
        assert answer.status_code == 422 or answer.json()["accepted"] == 0, camera
        assert MARK not in answer.text


async def test_a_workers_key_is_no_bearer_and_an_admins_key_is_bound_to_no_store(guarded: Served, marked: Seed) -> None:
    for token in (marked.keys["acme-worker"], marked.keys["other-worker"]):
        answer = await guarded.client.get("/v1/stores", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
    admins = {"name": "till", "role": "admin", "store": "shop"}
    made = await guarded.client.post("/v1/organizations/acme/keys", json=admins, headers=marked.headers("admin@acme"))
    assert made.status_code == 422


async def test_two_admins_who_demote_each_other_leave_one(guarded: Served, marked: Seed) -> None:
    """Row "two admins demote each other at once": 200 and 409."""
    first, second = marked.user("admin@acme"), marked.user("manager@acme")
    await guarded.pool.execute("UPDATE membership SET role = 'admin' WHERE \"user\" = $1", second)

    async def demote(who: str, whom: object) -> int:
        path = f"/v1/organizations/acme/members/{whom}"
        return (await guarded.client.patch(path, json={"role": "viewer"}, headers=marked.headers(who))).status_code

    for _ in range(3):
        statuses = await asyncio.gather(demote("admin@acme", second), demote("manager@acme", first))
        assert statuses.count(200) == 1, statuses
        assert set(statuses) <= {200, 403, 409}, statuses
        left = await guarded.pool.fetchval("SELECT count(*) FROM membership WHERE organization='acme' AND role='admin'")
        assert left == 1
        await guarded.pool.execute("UPDATE membership SET role = 'admin' WHERE \"user\" = ANY($1)", [first, second])
