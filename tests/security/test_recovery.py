"""Counts survive what breaks, and what breaks is told (Holds: "kill -9 …" to "crash copy").

The rest of these rows is in `tests/faults` (kills, chaos, a full disk, clocks), `tests/infra/test_up.py` (two starts,
SIGKILL of the parent) and `tests/persistence/test_migrations.py` (upgrades).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest

from infra.local.camera import default_line
from infra.local.errors import LocalError
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from tests.support.broker import eventually
from tests.support.freezing import freeze, thaw
from tests.support.record import Row, crossings

ADDRESS = "sim://door?people_per_min=120"
DOOR = CameraSetup(
    camera="door", store="shop", time_zone="UTC", address=ADDRESS, model="motion", lines=(default_line(ADDRESS),)
)
ENOUGH = 3


def started(folder: Path) -> Stack:
    return Stack(folder, restart=False, durable=False)


async def count(stack: Stack, more_than: int = 0) -> list[Row]:
    """Wait until more people than that have crossed the line."""
    await ensure_camera(stack.api_database_url, DOOR)

    async def enough() -> bool:
        return len(await crossings(stack.database_url, "door")) >= more_than + ENOUGH

    await eventually(enough, within=90)
    return await crossings(stack.database_url, "door")


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def damage(home: Path) -> None:
    """All that a crash and a careless hand may leave, at once."""
    blocks = [file for file in (home / "nats").rglob("*.blk") if file.stat().st_size]
    assert blocks
    for block in blocks[:6]:
        halve(block)
    for index in (home / "nats").rglob("index.db"):
        index.unlink()
    (home / "postgres" / "data" / "postmaster.pid").write_text(
        f"{os.getpid()}\n/nowhere\n0\n1\n\n127.0.0.1\n0 0\nready\n"
    )
    (home / "ports.json").write_text('{"nats": "no')
    (home / "secrets" / "nats-tracker").write_text("")
    (home / "lock").write_bytes(b"\xff\x00 garbage that is no process")


@pytest.mark.timeout(240)
def test_a_damaged_folder_starts_and_what_was_counted_is_there(tmp_path: Path) -> None:
    """Rows "6 streams' block files cut in half …" and "foreign pid in postmaster.pid"."""
    home = tmp_path / "home"
    with started(home) as stack:
        before = asyncio.run(count(stack))
    damage(home)
    with started(home) as stack:
        after = asyncio.run(count(stack, len(before)))

    assert {row[0] for row in before} <= {row[0] for row in after}
    assert len({row[0] for row in after}) == len(after)


@pytest.mark.timeout(240)
@pytest.mark.exhaustive
def test_a_copy_of_a_running_metrica_starts_elsewhere(tmp_path: Path) -> None:
    """Row "crash copy": each crossing that was committed before the cut is there once, under its id."""
    home, copy = tmp_path / "home", tmp_path / "copy"
    with ExitStack() as stopped, started(home) as stack:
        before = asyncio.run(count(stack))
        for pid in (stack.nats.pid, stack.postgres.pid, *(service.pid for service in stack.services.values())):
            stopped.callback(thaw, freeze(pid))
        subprocess.run(["cp", "-a", home, copy], check=True)  # owners, too: Postgres has a user of its own
        stopped.close()
    with started(copy) as stack:
        found = asyncio.run(count(stack, len(before)))

    assert {row[0] for row in before} <= {row[0] for row in found}
    assert len({row[0] for row in found}) == len(found)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    stack = started(tmp_path / "home")
    yield tmp_path / "home"
    stack.home.release()


def test_a_second_start_is_refused_before_it_touches_anything(held: Path) -> None:
    """Row "two starts at once"; `tests/infra/test_up.py` has it with a running one."""
    before = {file: file.stat().st_mtime_ns for file in held.rglob("*") if file.is_file()}
    with pytest.raises(LocalError, match=f"runs already from {held}"):
        started(held)

    assert {file: file.stat().st_mtime_ns for file in held.rglob("*") if file.is_file()} == before


async def test_no_migration_takes_what_was_there(database_url: str) -> None:
    """Row "upgrade from 2215468": the steps one by one are in `tests/persistence/test_migrations.py`."""
    connection = await asyncpg.connect(database_url)
    steps = await connection.fetchval("SELECT count(*) FROM alembic_version")
    await connection.close()

    assert steps == 1
