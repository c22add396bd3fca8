"""A broker that can store nothing more says so where people look, and goes on from where it was."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.streams import CROSSINGS
from infra.local.processes.nats import NatsServer
from services.kit.nats.bus import Bus
from services.kit.service import Health
from services.kit.settings import ServiceSettings
from tests.faults.apart import run_apart
from tests.faults.films import Films
from tests.support.broker import eventually, stored

MIB = 1024 * 1024


@pytest.mark.timeout(300)
def test_a_full_disk_is_told_and_costs_no_count(tmp_path: Path, films: Films) -> None:
    camera = films.cameras[0].model_dump_json()
    run_apart("tests.faults.small_disk", tmp_path, camera, namespaces=("--mount",), programs=("mount",))


async def test_what_a_broker_at_its_limit_refused_is_stored_once_there_is_room(
    settings: ServiceSettings, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _restart(nats_server, monkeypatch, limit=MIB)
    bus = Bus(settings, "tracker")
    bus._streams = (replace(CROSSINGS, max_bytes=0),)  # what it may hold one day is more than there is
    await bus.start()
    health = Health(bus, [CROSSINGS.name])
    bodies = [number.to_bytes(4, "big") * 5_000 for number in range(100)]  # two megabytes

    async def publish() -> None:
        for number, body in enumerate(bodies):
            await bus.publish("metrica.live.crossings.store.camera", body, msg_id=f"live/{number}")

    publishing = asyncio.create_task(publish())
    told = await eventually(health.problems)
    assert "does not store metrica.live.crossings.store.camera" in told["jetstream"]
    assert "Free some space" in told["jetstream"]

    await _restart(nats_server, monkeypatch, limit=64 * MIB)
    await publishing
    assert await stored(bus, CROSSINGS.name) == bodies
    assert await health.problems() == {}
    await bus.stop()


async def _restart(server: NatsServer, monkeypatch: pytest.MonkeyPatch, *, limit: int) -> None:
    monkeypatch.setitem(server._jetstream, "max_file_store", limit)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
