"""The power goes: a system that starts from what lay on the disk counts a film to its end as if nothing had been.

Copies of the data folder are taken while everything stands still. Of each, some streams are as they were a moment
before: JetStream syncs them one by one, and what was acknowledged since then is gone.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts.streams import DETECTIONS, Owner
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from tests.faults.films import UNHURRIED, Films
from tests.faults.history import History, difference
from tests.support.broker import eventually, jetstream
from tests.support.freezing import frozen
from tests.support.record import Row, crossings, wait_for_end

UNSYNCED = (0.2, 1.2)
"""Seconds that a stream may be older than another: a little more than JetStream's interval."""
PATIENCE = 200.0


@dataclass(frozen=True, slots=True)
class Cut:
    """The result of a cut: a data folder, which streams are older in it, and what Postgres had committed."""

    folder: Path
    older: Sequence[str]
    committed: dict[str, list[Row]]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("seed", "cuts"), [(1, 2), pytest.param(2, 12, marks=pytest.mark.exhaustive)])
def test_after_a_power_cut_a_film_is_counted_to_its_end(tmp_path: Path, films: Films, seed: int, cuts: int) -> None:
    chance = random.Random(seed)
    names = [camera.camera for camera in films.cameras[:2]]
    with _stack(tmp_path / "running") as stack:
        for camera in films.cameras[:2]:
            asyncio.run(ensure_camera(stack.api_database_url, camera, stack.vault))
        frames = 600 * len(names)
        moments = sorted(chance.sample(range(20, frames * 9 // 10), cuts))
        left = [_cut(stack, moment, tmp_path / f"cut-{moment}", chance, names) for moment in moments]
    for cut in left:
        with _stack(cut.folder) as stack:
            asyncio.run(_count(stack, films, cut, names))


def _stack(folder: Path) -> Stack:
    return Stack(folder, replicas={Owner.DETECTOR: 2}, restart=False, durable=False, environment=UNHURRIED)


def _cut(stack: Stack, moment: int, folder: Path, chance: random.Random, cameras: Sequence[str]) -> Cut:
    """Take a copy when so many frames were looked at."""
    asyncio.run(_wait_for_detections(stack, moment))
    before = folder.with_name(f"{folder.name}-before")
    with frozen(stack.nats.pid):
        _copy(stack.home.nats, before)
    time.sleep(chance.uniform(*UNSYNCED))
    committed = {camera: asyncio.run(crossings(stack.database_url, camera)) for camera in cameras}
    with _all_frozen(stack):
        _copy(stack.home.folder, folder)
    older = []
    for stream in sorted(before.glob("**/streams/*")):
        now = folder / "nats" / stream.relative_to(before)
        # The messages of a stream and its consumers are files apart, and may be of different moments, too.
        for part in ("msgs", "obs"):
            if chance.random() < 0.5 and (stream / part).exists() and (now / part).exists():
                subprocess.run(["rm", "-rf", now / part], check=True)
                _copy(stream / part, now / part)
                older.append(f"{stream.name}/{part}")
    return Cut(folder, older, committed)


@contextmanager
def _all_frozen(stack: Stack) -> Iterator[None]:
    with ExitStack() as frost:
        services = (service.pid for service in stack.services.values())
        for pid in (*services, stack.nats.pid, stack.postgres.pid):
            frost.enter_context(frozen(pid))
        yield


def _copy(place: Path, to: Path) -> None:
    subprocess.run(["cp", "-a", place, to], check=True)  # with the owners, which shutil leaves out


async def _wait_for_detections(stack: Stack, number: int) -> None:
    async with jetstream(stack) as js:

        async def enough() -> bool:
            return (await js.stream_info(DETECTIONS.name)).state.messages >= number

        await eventually(enough, within=PATIENCE)


async def _count(stack: Stack, films: Films, cut: Cut, cameras: Sequence[str]) -> None:
    print(f"{cut.folder.name}: older are {', '.join(cut.older)}")
    found: dict[str, list[Row]] = {}
    for camera in cameras:
        session = await wait_for_end(stack.database_url, camera, within=PATIENCE)
        assert (session["reason"], session["skipped"], session["missed"]) == ("finished", 0, 0)
        found[camera] = await crossings(stack.database_url, camera)
        assert set(cut.committed[camera]) <= set(found[camera])
    assert difference({camera: films.undisturbed[camera] for camera in cameras}, found) == []
    await History(stack.database_url).assert_rollups_agree()
