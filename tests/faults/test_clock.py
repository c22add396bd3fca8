"""The clock of one service is put forward or back: times come from frames, and counts from those times."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import pytest

from contracts.streams import CROSSINGS
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from tests.api.served import BROWSER
from tests.faults.films import UNHURRIED, Films
from tests.faults.history import History, difference
from tests.faults.streets import Street, streets
from tests.support.broker import eventually, jetstream
from tests.support.machine import faketime
from tests.support.record import crossings, wait_for_end
from tests.support.scene import STORE

STEPS = {"ingest": "+1h", "detector": "-1h", "tracker": "+1d", "persistence": "+3d", "api": "-1d"}
"""How far each service's clock is put, one after the other."""
FRAME_BY_FRAME = ("detector", "tracker")
"""Under libfaketime each turn of an event loop takes a millisecond: these make the longer run."""
FEW = [name for name in STEPS if name not in FRAME_BY_FRAME]
COUNTED = 3
"""Crossings, of all cameras, for which it stays so."""
PATIENCE = 200.0
_PRELOAD = """
import os, sys
if "LD_PRELOAD" not in os.environ:
    os.environ["LD_PRELOAD"] = {library!r}
    os.execv(sys.executable, sys.orig_argv)
"""
"""Begins a service's Python anew with the library, once it is who it runs as. In the step down before (`launch.py`) the
library would make its semaphore as root, under the name that the service, with the same process id, then can't open."""


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "services",
    [
        pytest.param(FEW, id="few"),
        pytest.param(FRAME_BY_FRAME, id="frame by frame", marks=pytest.mark.exhaustive),
    ],
)
def test_a_clock_that_steps_changes_no_count(tmp_path: Path, films: Films, services: Sequence[str]) -> None:
    library = faketime()
    if library is None:
        pytest.fail("the clock of one process can't be put on this machine: apt-get install libfaketime")
    clocks = tmp_path / "clocks"
    clocks.mkdir()
    clocks.chmod(0o755)
    (clocks / "sitecustomize.py").write_text(_PRELOAD.format(library=str(library)))
    where = {"METRICA_CLOCKS": str(clocks)}  # so that services see it, whoever they run as
    stack = Stack(tmp_path, restart=False, durable=False, environment={**UNHURRIED, **where})
    for name in services:
        stack.services[name]._environment |= {
            "PYTHONPATH": str(clocks),
            "FAKETIME_TIMESTAMP_FILE": str(clocks / name),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # as where a clock is set: what measures durations goes on
        }
        _put_clock(clocks / name, "+0")
    with stack, streets(1) as (street,):
        asyncio.run(_count(stack, {name: clocks / name for name in services}, films, street))
        assert all(service.running and service.ready() for service in stack.services.values())


async def _count(stack: Stack, clocks: Mapping[str, Path], films: Films, street: Street) -> None:
    film = films.cameras[0]
    for camera in (film, street.camera):
        await ensure_camera(stack.api_database_url, camera, stack.vault)
    for name, clock in clocks.items():
        await _wait_for_crossings(stack)
        _put_clock(clock, STEPS[name])
        if name == "persistence":  # it also forgets old minutes, when it starts
            stack.services[name].kill()
            stack.services[name].start()
            await asyncio.to_thread(stack.services[name].wait_ready)
        await _wait_for_crossings(stack)
        _put_clock(clock, "+0")
    await wait_for_end(stack.database_url, film.camera, within=PATIENCE)
    found = {film.camera: await crossings(stack.database_url, film.camera)}
    assert difference({film.camera: films.undisturbed[film.camera]}, found) == []
    await street.assert_nobody_counted_twice(stack)
    await History(stack.database_url).assert_rollups_agree()
    await eventually(lambda: _dashboard_is_right(stack), within=PATIENCE)


def _put_clock(file: Path, step: str) -> None:
    """Put the clock that a file tells, in one go: half of a file would be another time."""
    new = file.with_suffix(".new")
    new.write_text(step)
    new.replace(file)


async def _wait_for_crossings(stack: Stack) -> None:
    async with jetstream(stack) as js:

        async def stored() -> int:
            return (await js.stream_info(CROSSINGS.name)).state.messages

        async def more() -> bool:
            return await stored() >= before + COUNTED

        before = await eventually(stored, within=PATIENCE)
        await eventually(more, within=PATIENCE)


async def _dashboard_is_right(stack: Stack) -> bool:
    """Tell whether the API shows the store's day, and what was counted in it."""
    async with httpx.AsyncClient(headers=BROWSER) as client:
        (store,) = (await client.get(f"{stack.url}/v1/stores")).json()
    counts = await History(stack.database_url).totals(STORE)
    return (store["counts"]["day"], store["counts"]["in"] > 0) == (counts.day, True)
