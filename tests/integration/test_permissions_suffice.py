"""Every service may do all that it does: whatever happens to a running Metrica, NATS refuses it nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from contracts.spec import CameraSpec, current_key
from contracts.streams import CAMERAS, DLQ, Owner
from contracts.subjects import detections
from infra.local.processes.nats import NatsServer
from infra.local.processes.service import Service
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera, remove_camera
from services.api.cameras.setup import CameraSetup
from services.ingest.sources.simulation import open_simulation
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from tests.api.served import BROWSER
from tests.cli.command import metrica
from tests.conftest import violations
from tests.support.broker import connected, eventually
from tests.support.record import crossings, wait_for_end
from tests.support.scene import STORE

FILE, LIVE = "sim://door?people=6&pace=max&spacing=clear", "sim://door?people_per_min=60"
EMPTY_DOOR = {"METRICA_BACKENDS": '{"empty-door": "tests.support.empty_door:EmptyDoor"}', "METRICA_THREADS": "1"}


@pytest.mark.timeout(240)
def test_nothing_is_refused_through_restarts_retries_and_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicas = {Owner.INGEST: 2, Owner.DETECTOR: 2, Owner.TRACKER: 2}
    with Stack(tmp_path, replicas=replicas, restart=False, durable=False, environment=EMPTY_DOOR) as stack:
        for name, value in stack.nats_environment.items():
            monkeypatch.setenv(name, value)
        asyncio.run(_live(stack))
        for service in stack.services.values():
            service.wait_ready(30)
        logs = {service.name: service.log.read_text() for service in stack.services.values()}

    assert violations(tmp_path) == []
    assert [name for name, log in logs.items() if "NATS does not permit this" in log] == []


async def _live(stack: Stack) -> None:
    """Live through what happens in the life of a Metrica."""
    async with connected(ServiceSettings()) as bus:
        await _set(stack, "door", LIVE, "motion")
        await _set(stack, "clip", FILE, "no-such-model")
        await _shows_a_picture(stack, "door")
        await _retry_a_dead_letter(bus)
        processes: list[Service | NatsServer] = [*stack.services.values(), stack.nats]
        for process in processes:
            process.kill()
            process.start()
        await _set(stack, "clip", FILE, "empty-door")  # what was queued for the other model is taken back
        await wait_for_end(stack.database_url, "clip", within=120)
        await eventually(lambda: crossings(stack.database_url, "door"), within=60)
        await _set(stack, "door", LIVE, "motion", paused=True)
        await remove_camera(stack.api_database_url, "clip")
        await eventually(lambda: _only_the_paused_one_is_left(bus), within=60)


async def _set(stack: Stack, name: str, address: str, model: str, *, paused: bool = False) -> None:
    line = open_simulation(address).line
    setup = CameraSetup(
        camera=name, store=STORE, time_zone="UTC", address=address, model=model, lines=(line,), paused=paused
    )
    await ensure_camera(stack.api_database_url, setup, stack.vault)


async def _shows_a_picture(stack: Stack, name: str) -> None:
    async with httpx.AsyncClient(base_url=stack.url, headers=BROWSER) as browser:

        async def shown() -> bool:
            return (await browser.get(f"/v1/cameras/{name}/frame.jpg")).is_success

        await eventually(shown)


async def _retry_a_dead_letter(bus: Bus) -> None:
    await bus.publish(detections("live", STORE, "noise"), b"no detections")
    for newest in (1, 2):  # what fails again is a new letter

        async def buried(newest: int = newest) -> bool:
            return (await bus.js.stream_info(DLQ.name)).state.last_seq == newest

        await eventually(buried)
        assert (await asyncio.to_thread(metrica, "dlq", "retry" if newest == 1 else "drop", "--all")).code == 0


async def _only_the_paused_one_is_left(bus: Bus) -> bool:
    specs = await bus.js.key_value(CAMERAS.name)
    current = [key for key in await specs.keys() if key.endswith(".current")]
    spec = CameraSpec.model_validate_json((await specs.get(current_key("door"))).value or b"")
    return current == [current_key("door")] and spec.paused
