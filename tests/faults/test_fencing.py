"""A tracker that slept longer than its leases, and wakes up full of frames that another has counted by then."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from contracts.checkpoints import checkpoint_key
from contracts.events import CROSSING_EVENT, Crossing
from contracts.identity import LIVE, partition
from contracts.streams import CHECKPOINTS, DETECTIONS, Owner
from contracts.subjects import crossings as crossings_of
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from services.tracker.state import Checkpoint
from tests.faults.films import UNHURRIED, Films
from tests.faults.history import difference
from tests.support.broker import eventually, jetstream
from tests.support.freezing import frozen
from tests.support.record import crossings, wait_for_end

PATIENCE = 200.0


@pytest.mark.timeout(400)
def test_a_tracker_that_wakes_after_its_leases_ended_publishes_nothing(tmp_path: Path, films: Films) -> None:
    stack = Stack(tmp_path, replicas={Owner.TRACKER: 2}, restart=False, durable=False, environment=UNHURRIED)
    with stack:
        asyncio.run(_count(stack, films))
        assert all(service.running and service.ready() for service in stack.services.values())


async def _count(stack: Stack, films: Films) -> None:
    cameras = films.cameras[:2]
    heard: dict[str, list[int]] = defaultdict(list)

    async def hear(msg: Msg) -> None:
        event = CROSSING_EVENT.validate_json(msg.data)
        if isinstance(event, Crossing):
            heard[event.camera].append(event.seq)

    async with jetstream(stack) as js:
        # Heard directly, also what the stream would leave out as known already.
        await js._nc.subscribe(crossings_of(LIVE, "*", "*"), cb=hear)
        for camera in cameras:
            await ensure_camera(stack.api_database_url, camera, stack.vault)
        sleeper = await eventually(lambda: _owner(js, cameras[0].camera), within=PATIENCE)
        await eventually(lambda: _seen(js, 100), within=PATIENCE)
        with frozen(stack.services[sleeper].pid):
            await eventually(lambda: _other_owner(js, cameras[0].camera, sleeper), within=PATIENCE)
            before = len(heard[cameras[0].camera])
            await eventually(lambda: _more(heard[cameras[0].camera], before + 3), within=PATIENCE)
        for camera in cameras:
            await wait_for_end(stack.database_url, camera.camera, within=PATIENCE)
    expected = {camera.camera: films.undisturbed[camera.camera] for camera in cameras}
    found = {camera.camera: await crossings(stack.database_url, camera.camera) for camera in cameras}
    assert difference(expected, found) == []
    for name, seqs in heard.items():
        # Who takes over says the last crossings once more, one after the other, and goes on behind them.
        places = {seq: place for place, seq in enumerate(sorted(set(seqs)))}
        leaps = [(one, other) for one, other in pairwise(seqs) if places[other] > places[one] + 1]
        assert not leaps, f"crossings of {name} were published by one who had been replaced: {seqs}"


async def _owner(js: JetStreamContext, camera: str) -> str:
    """The tracker that wrote a camera's checkpoint last."""
    bucket = await js.key_value(CHECKPOINTS.name)
    entry = await bucket.get(checkpoint_key(LIVE, partition(camera), camera))
    return Checkpoint.model_validate_json(entry.value or b"").owner


async def _other_owner(js: JetStreamContext, camera: str, before: str) -> bool:
    return await _owner(js, camera) != before


async def _seen(js: JetStreamContext, frames: int) -> bool:
    return (await js.stream_info(DETECTIONS.name)).state.messages >= frames


async def _more(heard: list[int], than: int) -> bool:
    return len(heard) > than
