"""A camera that is changed in any way, while everything runs: the others do not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.spec import Capture, CountingLine
from contracts.streams import DETECTIONS, Owner
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera, remove_camera
from services.api.cameras.setup import CameraSetup
from services.kit.nats.bus import Bus
from tests.support.broker import connected, eventually, settings_of
from tests.support.onlooker import Onlooker, SeenFrame, onlooking

CHANGED, OTHERS = "changed", ("other-1", "other-2")
ADDRESS = "sim://door?pace=real&fps=10&width=320&height=180"
SMALLER = "sim://door?pace=real&fps=10&width=160&height=90"
LINE = CountingLine(id="line", x1=0.1, y1=0.6, x2=0.9, y2=0.6)
BACKENDS = '{"sleeper": "tests.support.sleeper:not_at_all", "other": "tests.support.sleeper:of_another_name"}'


@pytest.mark.timeout(180)
def test_a_camera_that_is_added_changed_paused_or_removed_is_noticed_by_no_other(tmp_path: Path) -> None:
    async def look() -> None:
        async with connected(settings_of(stack)) as bus, onlooking(bus) as onlooker:
            for camera in OTHERS:
                await ensure_camera(stack.api_database_url, _setup(camera))
                await eventually(lambda camera=camera: _is(bool(onlooker.frames[camera])))  # type: ignore[misc]  # bound
            await _change_in_every_way(stack.api_database_url, bus, onlooker)
            await _all_move_on(onlooker)
        for camera in OTHERS:
            headers = [one.header for one in onlooker.frames[camera]]
            assert {header.session for header in headers} == {headers[0].session}
            assert [header.seq for header in headers] == list(range(len(headers)))
            assert [header.previous for header in headers] == [None, *range(len(headers) - 1)]

    replicas = {Owner.INGEST: 2, Owner.DETECTOR: 2}
    stack = Stack(tmp_path, replicas=replicas, environment={"METRICA_BACKENDS": BACKENDS}, restart=False, durable=False)
    with stack:
        before = {name: service.pid for name, service in stack.services.items()}
        asyncio.run(look())
        assert {name: service.pid for name, service in stack.services.items() if service.running} == before


async def _change_in_every_way(database_url: str, bus: Bus, onlooker: Onlooker) -> None:
    seen = onlooker.frames[CHANGED]

    async def change(setup: CameraSetup, in_force: Callable[[SeenFrame], bool]) -> CameraSetup:
        await ensure_camera(database_url, setup)
        await eventually(lambda: _is(in_force(seen[-1])))
        return setup

    async def looked_at_by(model: str) -> bool:
        msg = await bus.js.get_last_msg(DETECTIONS.name, f"metrica.live.detections.*.store.{CHANGED}")
        return f'"name":"{model}"'.encode() in (msg.data or b"")

    setup = await change(_setup(CHANGED), lambda _: True)
    first, revision = seen[-1].header.session, seen[-1].header.spec_revision
    moved = setup.model_copy(update={"lines": (LINE.model_copy(update={"y1": 0.5}),)})
    setup = await change(moved, lambda one: one.header.spec_revision > revision)
    setup = await change(setup.model_copy(update={"model": "other"}), lambda _: True)
    await eventually(lambda: looked_at_by("other"))
    assert seen[-1].header.session == first, "neither a line nor a model needs a new connection"
    setup = await change(setup.model_copy(update={"capture": Capture(fps=5)}), lambda one: one.header.session != first)
    setup = await change(setup.model_copy(update={"address": SMALLER}), lambda one: one.header.width == 160)
    await change(setup.model_copy(update={"paused": True}), lambda one: one.header.end is not None)
    await change(setup, lambda one: one.header.end is None)
    await remove_camera(database_url, CHANGED)
    await eventually(lambda: _is(seen[-1].header.end is not None))


async def _all_move_on(onlooker: Onlooker) -> None:
    before = {camera: len(onlooker.tracks[camera]) for camera in OTHERS}
    await eventually(lambda: _is(all(len(onlooker.tracks[camera]) > before[camera] + 5 for camera in OTHERS)))


def _setup(camera: str) -> CameraSetup:
    return CameraSetup(camera=camera, time_zone="UTC", address=ADDRESS, model="sleeper", lines=(LINE,))


async def _is(value: bool) -> bool:
    return value
