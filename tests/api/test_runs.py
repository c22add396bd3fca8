"""`/v1/runs`: asked for, followed to the end, promoted and removed, each by whom it is for, and by nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.identity import to_ns
from contracts.runs import Run, RunCamera, RunKind, RunPhase, RunProgress
from services.api.runs.service import MAX_UNENDED
from services.kit.nats.run_entries import change_run, create_run, find_run, list_runs, write_progress
from tests.api.callers import Callers
from tests.api.seeded import Seed
from tests.api.served import Served
from tests.support.broker import eventually

ASKED: dict[str, Any] = {
    "kind": "detections",
    "name": "moved",
    "cameras": ["door"],
    "since": "2026-11-23T07:00:00Z",
    "until": "2026-11-23T08:00:00Z",
}


@pytest.fixture
async def manager(guarded: Served, seed: Seed) -> dict[str, str]:
    return await Callers(guarded, seed).headers("manager")


async def ask(served: Served, headers: dict[str, str], **changes: object) -> dict[str, Any]:
    answer = await served.client.post("/v1/runs", json=ASKED | changes, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_the_entry_has_all_that_the_replay_service_needs(guarded: Served, manager: dict[str, str]) -> None:
    made = await ask(guarded, manager)

    entry = await find_run(guarded.bus, made["name"])
    assert entry is not None
    assert entry.name.startswith("moved-")
    assert (entry.kind, entry.stands, entry.running) == (RunKind.DETECTIONS, RunPhase.REQUESTED, False)
    assert entry.cameras == (RunCamera(camera="door", store="shop"),)
    assert entry.request is not None
    assert entry.request.in_store
    assert entry.request.begin == entry.since - 300_000_000_000


async def test_repeated_with_its_key_it_is_one_run(guarded: Served, manager: dict[str, str]) -> None:
    key = {"Idempotency-Key": "one"}
    first, second = await ask(guarded, manager | key), await ask(guarded, manager | key)

    assert first == second
    assert len(await list_runs(guarded.bus)) == 1


async def test_so_many_are_at_work_at_a_time(guarded: Served, manager: dict[str, str]) -> None:
    for _ in range(MAX_UNENDED):
        await ask(guarded, manager)

    refused = await guarded.client.post("/v1/runs", json=ASKED, headers=manager)

    assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"until": ASKED["since"]},
        {"model": "yolox_nano"},
        {"kind": "paths", "cameras": ["door", "door"]},
        {"lines": [{"id": "x", "x1": 0.5, "y1": 0.5, "x2": 0.5, "y2": 0.5}]},
        {"name": "two words"},
    ],
)
async def test_what_cannot_be_is_refused(guarded: Served, manager: dict[str, str], changes: dict[str, Any]) -> None:
    refused = await guarded.client.post("/v1/runs", json=ASKED | changes, headers=manager)

    assert refused.status_code == 422
    assert await list_runs(guarded.bus) == []


async def test_a_run_over_stores_of_several_organizations_is_shown_to_neither(
    guarded: Served, seed: Seed, manager: dict[str, str]
) -> None:
    cameras = tuple(RunCamera(camera=camera, store=store) for camera, store in (("door", "shop"), ("gate", "mall")))
    run = Run(name="both", kind=RunKind.DETECTIONS, cameras=cameras, since=1, until=2, created_at=1)
    await create_run(guarded.bus, run)

    callers = Callers(guarded, seed)
    for caller in ("admin", "other admin"):
        headers = await callers.headers(caller)
        assert (await guarded.client.get("/v1/runs", headers=headers)).json() == []
        assert (await guarded.client.get("/v1/runs/both", headers=headers)).status_code == 404
        assert (await guarded.client.delete("/v1/runs/both", headers=headers)).status_code == 404
    shown = await guarded.client.get("/v1/runs", headers=await callers.headers("superadmin"))
    assert [run["name"] for run in shown.json()] == ["both"]


async def test_another_organization_cannot_tell_that_there_is_a_run(
    guarded: Served, seed: Seed, manager: dict[str, str]
) -> None:
    name = (await ask(guarded, manager))["name"]
    other = await Callers(guarded, seed).headers("other admin")

    for path in (f"/v1/runs/{name}", f"/v1/runs/{name}/events", f"/v1/runs/{name}/promotions", "/v1/runs/nothing"):
        answer = await guarded.client.get(path, headers=other)
        assert answer.status_code == 404
        assert "shop" not in answer.text
    assert (await guarded.client.get("/v1/runs", headers=other)).json() == []
    foreign = await guarded.client.post("/v1/runs", json=ASKED, headers=other)
    assert (foreign.status_code, "There is no camera" in foreign.text) == (404, True)


async def events(served: Served, name: str, headers: dict[str, str]) -> AsyncIterator[tuple[str, str]]:
    async with served.client.stream("GET", f"/v1/runs/{name}/events", headers=headers) as answer:
        assert answer.status_code == 200
        kind = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ").strip()
            elif line.startswith("data: "):
                yield kind, line.removeprefix("data: ")


async def test_progress_is_followed_to_the_end(guarded: Served, manager: dict[str, str]) -> None:
    name = (await ask(guarded, manager))["name"]
    seen: list[tuple[str, str]] = []

    async def follow() -> None:
        async for event in events(guarded, name, manager):
            seen.append(event)

    following = asyncio.create_task(follow())

    async def has_seen(text: str) -> bool:
        return any(text in data for _, data in seen)

    await eventually(lambda: has_seen('"phase":"requested"'))
    await change_run(guarded.bus, name, lambda run: run.in_phase(RunPhase.RUNNING))
    await write_progress(guarded.bus, name, RunProgress(done=0.5))
    await eventually(lambda: has_seen('"done":0.5'))
    await change_run(guarded.bus, name, lambda run: run.in_phase(RunPhase.FINISHED).model_copy(update={"closed_at": 1}))
    await asyncio.wait_for(following, 15)

    assert {kind for kind, _ in seen[:-1]} == {"progress"}
    assert seen[-1][0] == "ended"
    assert '"phase":"finished"' in seen[-1][1]


async def test_it_is_removed_by_the_replay_service_and_both_are_on_record(
    guarded: Served, seed: Seed, manager: dict[str, str]
) -> None:
    name = (await ask(guarded, manager))["name"]

    removed = await guarded.client.delete(f"/v1/runs/{name}", headers=manager)

    assert (removed.status_code, removed.json()["phase"]) == (202, "dropping")
    admin = await Callers(guarded, seed).headers("admin")
    log = (await guarded.client.get("/v1/organizations/acme/changes", headers=admin)).json()
    entries = log["items"] if isinstance(log, dict) else log
    assert {(entry["kind"], entry["action"]) for entry in entries if entry["key"] == name} == {
        ("run", "created"), ("run", "removed"),
    }  # fmt: skip


async def test_a_finished_run_is_promoted_and_then_kept_until_that_is_revoked(
    guarded: Served, manager: dict[str, str]
) -> None:
    name = (await ask(guarded, manager))["name"]
    entry = await change_run(guarded.bus, name, lambda run: run.in_phase(RunPhase.FINISHED))
    assert entry is not None
    assert entry.until > entry.since == to_ns(guarded.clock().replace(hour=7, minute=0, second=0, microsecond=0))
    await guarded.pool.execute(
        "INSERT INTO line (camera, id, name, revision, x1, y1, x2, y2, in_side, anchor, in_name, out_name)"
        " VALUES ('door', 'back', '', 1, 0.2, 0, 0.2, 1, 'right', 'center', '', '')"
    )

    made = await guarded.client.post(
        f"/v1/runs/{name}/promotions", json={"camera": "door", "line": "back", "note": "moved"}, headers=manager
    )
    assert made.status_code == 201, made.text
    kept = await guarded.client.delete(f"/v1/runs/{name}", headers=manager)
    listed = (await guarded.client.get(f"/v1/runs/{name}/promotions", headers=manager)).json()
    revoked = await guarded.client.delete(f"/v1/promotions/{listed[0]['id']}", headers=manager)
    gone = await guarded.client.delete(f"/v1/runs/{name}", headers=manager)

    assert (kept.status_code, revoked.status_code, gone.status_code) == (409, 204, 202)
    assert (listed[0]["who"], listed[0]["note"], listed[0]["revoked_at"]) == (made.json()["who"], "moved", None)
