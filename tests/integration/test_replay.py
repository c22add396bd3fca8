"""A replay on the whole stack: tracker and replay are killed, a live camera goes on, and nothing is left at last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from contracts.events import Detections
from contracts.identity import LIVE
from contracts.streams import BUCKETS, DETECTIONS, STREAMS
from contracts.subjects import detections
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from services.cli.replaying.results import StoredCrossing, between, holds
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.replay.ordered_publish import OrderedPublisher
from services.tracker.counting.camera_counter import CameraCounter
from tests.cli.command import METRICA
from tests.support import hour
from tests.support.broker import eventually
from tests.support.record import wait_for_end

PAST, NOW = ("door", "gate"), "yard"
SECONDS = 40.0


@pytest.mark.timeout(300)
def test_a_replay_survives_kills_disturbs_no_live_count_and_leaves_nothing(tmp_path: Path) -> None:
    with Stack(tmp_path, restart=False, durable=False) as stack:
        asyncio.run(_replay(stack))


async def _replay(stack: Stack) -> None:
    past = {camera: list(hour.seen(camera, SECONDS, seed=seed)) for seed, camera in enumerate(PAST)}
    present = list(hour.seen(NOW, SECONDS, seed=7))
    async with _connected(stack) as bus, _database(stack) as connection:
        for camera in (*PAST, NOW):
            await ensure_camera(stack.api_database_url, _camera(camera))
        publisher = OrderedPublisher(bus, DETECTIONS)
        await _show(publisher, hour.side_by_side({camera: iter(frames) for camera, frames in past.items()}))
        for camera in PAST:
            await wait_for_end(stack.database_url, camera, within=60)
        live = await between(connection, LIVE, PAST, 0, 2**62)
        assert len(live) > 20

        cameras = [word for camera in PAST for word in ("--camera", camera)]
        play = _metrica(stack, "replay", "detections", "--as", "again", "--speed", "10", *cameras)
        replay = asyncio.create_task(play)
        await _show(publisher, present[: len(present) // 2])

        async def is_under_way() -> bool:
            return bool(await connection.fetchval("SELECT count(*) > 5 FROM crossing WHERE run = 'again'"))

        await eventually(is_under_way, within=60)
        await asyncio.to_thread(stack.services["tracker"].kill)
        await asyncio.to_thread(stack.services["tracker"].start)
        await asyncio.to_thread(stack.services["replay"].kill)
        await asyncio.to_thread(stack.services["replay"].start)
        await _show(publisher, present[len(present) // 2 :])
        await replay
        await wait_for_end(stack.database_url, NOW, within=60)

        assert await between(connection, "again", PAST, 0, 2**62) == live
        assert await between(connection, LIVE, PAST, 0, 2**62) == live
        assert _ids(await between(connection, LIVE, [NOW], 0, 2**62)) == _counted(present)
        assert "0 are in both but changed" in await _metrica(stack, "runs", "diff", "again")
        await _metrica(stack, "runs", "drop", "again")
        assert await _left(bus) == 0
        assert not await holds(connection, "again")


def _camera(name: str) -> CameraSetup:
    return CameraSetup(
        camera=name, store="shop", time_zone="UTC", address="sim://door", model="motion", paused=True,
        lines=hour.spec(name).lines,
    )  # fmt: skip


def _counted(frames: Sequence[Detections]) -> list[str]:
    counter, spec = CameraCounter(LIVE, "shop", NOW), hour.spec(NOW)
    return sorted(str(crossing.id) for frame in frames for crossing in counter.step(frame, spec).crossings)


def _ids(rows: Sequence[StoredCrossing]) -> list[str]:
    return sorted(str(row.id) for row in rows)


async def _show(publisher: OrderedPublisher, events: Iterable[Detections]) -> None:
    for event in events:
        await publisher.publish(detections(LIVE, event.store, event.camera), event.encode(), {})
    await publisher.flush()


async def _metrica(stack: Stack, *words: str) -> str:
    """The output of the command, as a process of its own."""
    environment = {**stack.nats_environment, "METRICA_DATABASE_URL": stack.api_database_url, "COLUMNS": "120"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(METRICA, *words, env=environment, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def _left(bus: Bus) -> int:
    """Streams, keys and consumers that no live run has."""
    own = {stream.name for stream in STREAMS} | {f"KV_{bucket.name}" for bucket in BUCKETS}
    streams = {info.config.name for info in await bus.js.streams_info()} - own
    keys = 0
    for bucket in ("runs", "checkpoints"):
        info = await bus.js.stream_info(f"KV_{bucket}", subjects_filter=f"$KV.{bucket}.again.>")
        keys += len(info.state.subjects or {})
    return len(streams) + keys


@asynccontextmanager
async def _connected(stack: Stack) -> AsyncIterator[Bus]:
    environment = stack.nats_environment
    settings = ServiceSettings(
        nats_url=environment["METRICA_NATS_URL"], nats_user=environment["METRICA_NATS_USER"],
        nats_password=environment["METRICA_NATS_PASSWORD"],
    )  # fmt: skip
    bus = await Bus(settings, "test").start()
    try:
        yield bus
    finally:
        await bus.stop()


@asynccontextmanager
async def _database(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(stack.api_database_url)
    try:
        yield connection
    finally:
        connection.terminate()
