"""kill -9 of anything at any moment: the crossings stay the same, id by id.

Moments are places in the stream of detections, not times: a seed kills at the same frames on any machine.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import closing
from pathlib import Path

import pytest

from contracts.streams import DETECTIONS
from infra.local.processes.nats import NatsServer
from infra.local.processes.postgres import PostgresServer
from infra.local.processes.service import Service
from infra.local.stack import Stack
from services.ingest.sources.opening import open_source
from tests.faults.conftest import PATIENCE, make_stack, run
from tests.support.broker import jetstream
from tests.support.record import Row
from tests.support.scene import Scene

SERVICES = ("ingest", "detector", "tracker", "persistence", "api", "replay")
SERVERS = ("nats", "postgres")
VICTIMS = {1: SERVICES, 2: SERVICES, 3: SERVICES + SERVERS}
"""Who is killed, by seed."""


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "seed", [pytest.param(1, marks=pytest.mark.exhaustive), pytest.param(2, marks=pytest.mark.exhaustive), 3]
)
def test_killing_each_process_in_turn_changes_no_crossing(
    scene: Scene, undisturbed: list[Row], tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    victims = chance.sample(VICTIMS[seed], len(VICTIMS[seed]))

    def disturb(stack: Stack) -> None:
        processes: dict[str, Service | NatsServer | PostgresServer] = {
            **stack.services, "nats": stack.nats, "postgres": stack.postgres,
        }  # fmt: skip
        for victim, moment in zip(victims, _moments(scene, chance, len(victims)), strict=True):
            _wait_for_detections(stack, moment)
            processes[victim].kill()
            processes[victim].start()

    with make_stack(tmp_path, scene) as stack:
        assert run(stack, scene, disturb) == undisturbed
        _all_run(stack)


def _moments(scene: Scene, chance: random.Random, count: int) -> list[int]:
    """Numbers of detections at which to strike, spread over the scene; the last leaves something to be done."""
    with closing(open_source(scene.address)) as source:
        assert source.length is not None
        part = min(1.0, scene.fps / source.fps) if scene.fps and source.fps else 1.0
        length = int(source.length * part)
    assert length > 100
    return sorted(chance.sample(range(length // 20, length * 9 // 10), count))


def _wait_for_detections(stack: Stack, number: int) -> None:
    """Wait until so many detections were stored."""

    async def wait() -> None:
        async with jetstream(stack) as js:
            while (await js.stream_info(DETECTIONS.name)).state.messages < number:  # noqa: ASYNC110  # the server has no event for it
                await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(wait(), PATIENCE))


def _all_run(stack: Stack) -> None:
    """Nobody fell over something that happened to somebody else."""
    deadline = time.monotonic() + 20
    for service in stack.services.values():
        service.wait_ready(max(0.0, deadline - time.monotonic()))
