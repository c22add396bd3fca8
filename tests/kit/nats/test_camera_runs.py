"""The rules of working on runs: one task for each that is running, and what breaks one touches no other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nats.js.kv import KeyValue

from contracts.runs import Run, RunCamera, RunKind, RunState, run_key, run_spec_key
from contracts.spec import CameraSpec
from contracts.streams import RUNS, Owner
from services.kit.nats import runs as module
from services.kit.nats.bus import Bus
from services.kit.nats.camera_specs import Specs
from services.kit.nats.runs import Runs
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, eventually


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The owner of the bucket `runs`."""
    async with connected(settings, Owner.API) as bus:
        yield bus


@pytest.fixture
async def bucket(bus: Bus) -> KeyValue:
    """The bucket."""
    return await bus.bucket(RUNS)


class Work:
    """The cameras that are worked on, the number of times work began, and the runs that were forgotten."""

    def __init__(self) -> None:
        self.now: set[str] = set()
        self.began: Counter[str] = Counter()
        self.forgotten: list[tuple[str, bool]] = []

    async def do(self, run: Run) -> None:
        self.began[run.name] += 1
        if run.name == "broken":
            raise ValueError(run.name)
        self.now.add(run.name)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # leaving takes a moment
            self.now.discard(run.name)

    async def forget(self, name: str) -> None:
        self.forgotten.append((name, name in self.now))


@asynccontextmanager
async def working(bus: Bus) -> AsyncIterator[Work]:
    work, runs = Work(), Runs()
    tasks = [
        asyncio.create_task(runs.follow(bus)),
        asyncio.create_task(runs.each(work.do, matching=lambda run: run.kind is not RunKind.PATHS, forget=work.forget)),
    ]
    try:
        yield work
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not work.now, "work went on behind its end"


def run(name: str, kind: RunKind = RunKind.DETECTIONS, *, state: RunState = RunState.RUNNING, made: int = 1) -> Run:
    return Run(
        name=name, kind=kind, cameras=(RunCamera(camera="door", store="shop"),), since=1, until=2, created_at=made,
        state=state,
    )  # fmt: skip


async def put(bucket: KeyValue, *runs: Run) -> None:
    for one in runs:
        await bucket.put(run_key(one.name), one.model_dump_json().encode())


async def is_now(work: Work, *names: str) -> None:
    async def look() -> bool:
        return work.now == set(names)

    await eventually(look)


async def test_each_running_run_that_is_wanted_is_worked_on_until_its_state_changes(bus: Bus, bucket: KeyValue) -> None:
    await put(bucket, run("one"), run("done", state=RunState.FINISHED), run("recount", RunKind.PATHS))
    async with working(bus) as work:
        await is_now(work, "one")
        await put(bucket, run("two"))
        await is_now(work, "one", "two")
        await put(bucket, run("one", state=RunState.STOPPED))
        await is_now(work, "two")

        assert work.began == {"one": 1, "two": 1}
        assert work.forgotten == []


async def test_a_dropped_run_is_forgotten_once_after_its_work_has_ended(bus: Bus, bucket: KeyValue) -> None:
    await put(bucket, run("one"), run("two"))
    async with working(bus) as work:
        await is_now(work, "one", "two")
        await bucket.delete(run_key("one"))
        await is_now(work, "two")
        await put(bucket, run("three"))
        await is_now(work, "two", "three")

        assert work.forgotten == [("one", False)]


async def test_a_run_of_the_same_name_is_another_run(bus: Bus, bucket: KeyValue) -> None:
    await put(bucket, run("one", made=1))
    async with working(bus) as work:
        await is_now(work, "one")
        await put(bucket, run("one", made=2))

        async def began_anew() -> bool:
            return work.began["one"] == 2

        await eventually(began_anew)
        await is_now(work, "one")


async def test_what_breaks_one_run_or_cannot_be_read_touches_no_other(bus: Bus, bucket: KeyValue) -> None:
    await bucket.put(run_key("torn"), b"{")
    await put(bucket, run("broken"), run("sound"))
    async with working(bus) as work:
        await is_now(work, "sound")

        assert work.began == {"broken": 1, "sound": 1}


async def test_a_run_whose_entry_is_gone_without_a_mark_is_let_go(
    bus: Bus, bucket: KeyValue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN", 0.05)
    await put(bucket, run("one"), run("two"))
    async with working(bus) as work:
        await is_now(work, "one", "two")
        await bus.js.purge_stream(f"KV_{RUNS.name}", subject=f"$KV.{RUNS.name}.one.>")
        await is_now(work, "two")

        assert work.forgotten == []


async def test_a_run_sees_specs_of_its_own(bus: Bus, bucket: KeyValue) -> None:
    spec = CameraSpec(store="shop", camera="door", revision=7, model="other")
    await bucket.put(run_spec_key("night", "door", 7), spec.model_dump_json().encode())

    assert await Specs(bus, 0.0, run="night").get("door", 7) == spec
    assert (await Specs(bus, 0.0).get("door", 7)).model != "other"
