"""Counts a film on a disk that becomes full in its midst, and has room again later. Run by test_disk.py, in namespaces.

The data folder, the broker's and the database's files in it, lies on a small tmpfs.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from infra.local.data_dir import data_dir
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from tests.api.served import BROWSER
from tests.faults.films import UNHURRIED, count_alone
from tests.faults.history import difference
from tests.support.broker import eventually
from tests.support.record import crossings, wait_for_end

MIB = 1024 * 1024
SIZE = 320 * MIB
data_dir.MIN_FREE_DISK = 200 * MIB  # of a disk that is as small as this
PATIENCE = 60.0


def main(folder: Path, camera: CameraSetup) -> None:
    """Do it in an empty folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", folder], check=True)
    told: list[str] = []
    with Stack(folder, durable=False, environment=UNHURRIED, tell=told.append) as stack:
        asyncio.run(_count(stack, camera, folder / "fill", told))


async def _count(stack: Stack, camera: CameraSetup, fill: Path, told: list[str]) -> None:
    name, database = camera.camera, stack.database_url
    await ensure_camera(stack.api_database_url, camera, stack.vault)
    await eventually(lambda: crossings(database, name), within=PATIENCE)

    await asyncio.to_thread(_fill, fill)
    await _seen(lambda: "does not store" in stack.services["detector"].problem())
    await _seen(lambda: "its disk may be full" in _detector_says(stack))
    await _seen(lambda: any("MB are free on the disk" in line for line in told))
    counted = await crossings(database, name)
    await asyncio.to_thread(fill.unlink)

    await wait_for_end(database, name, within=2 * PATIENCE)
    found, expected = {name: await crossings(database, name)}, {name: count_alone(camera)}
    assert difference(expected, found) == []
    assert len(counted) < len(expected[name]), "the disk was full too late for a count to be lost"
    await _seen(lambda: stack.services["detector"].ready())
    await _seen(lambda: _detector_says(stack) == "running")


async def _seen(look: Callable[[], bool]) -> None:
    await eventually(lambda: asyncio.to_thread(look), within=PATIENCE)


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(MIB))
        except OSError:
            return


def _detector_says(stack: Stack) -> str:
    """The detector's word on the one camera, as the dashboard shows it: its message, or its state."""
    answer = httpx.get(f"{stack.url}/v1/stores", headers=BROWSER)
    if answer.status_code != httpx.codes.OK:
        return f"{answer.status_code}"
    statuses = answer.json()[0]["cameras"][0]["statuses"]
    return next((one["message"] or one["state"] for one in statuses if one["service"] == "detector"), "")


if __name__ == "__main__":
    main(Path(sys.argv[1]), CameraSetup.model_validate_json(sys.argv[2]))
