"""The scene that the fault tests count, and its counts when nothing disturbs."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.streams import Owner
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from tests.conftest import FOOTAGE
from tests.faults.films import UNHURRIED, Films, count_alone, make_films
from tests.support.lanes import LINE, MODEL
from tests.support.record import Row, counted, crossings, wait_for_end
from tests.support.scene import CAMERA, Scene, clip, today_at_noon

PATIENCE = 150.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count the scene's tests among those that see footage, if there is some: the scene is then taken from it."""
    for item in items:
        if FOOTAGE in os.environ and "scene" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.footage)


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Films]:
    """Several cameras and what they come to when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("films")
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METRICA_VIDEOS", str(folder))  # ingest of any stack sees it, whoever it runs as
        yield make_films(folder)


@pytest.fixture(scope="session")
def scene(request: pytest.FixtureRequest) -> Scene:
    """A real clip with many crossings where there is footage; elsewhere a film of people on lanes."""
    if folder := os.environ.get(FOOTAGE):
        return replace(clip(Path(folder), "vtest_480x360.mp4"), fps=5)  # as many crossings in half the frames
    film = request.getfixturevalue("films").cameras[0]
    return Scene(film.address, LINE, MODEL, today_at_noon(), environment=UNHURRIED)


def make_stack(folder: Path, scene: Scene) -> Stack:
    """The services with two detectors, none of which comes back by itself."""
    return Stack(folder, replicas={Owner.DETECTOR: 2}, restart=False, durable=False, environment=scene.environment)


def run(stack: Stack, scene: Scene, disturb: Callable[[Stack], None] = lambda stack: None) -> list[Row]:
    """Count the scene to its end, disturbed meanwhile from another thread; returns its crossings."""

    async def count() -> list[Row]:
        await ensure_camera(stack.api_database_url, scene.camera(), stack.vault)
        await asyncio.gather(
            asyncio.to_thread(disturb, stack), wait_for_end(stack.database_url, CAMERA, within=PATIENCE)
        )
        return await crossings(stack.database_url, CAMERA)

    return asyncio.run(count())


@pytest.fixture(scope="session")
def undisturbed(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """The crossings when nothing goes wrong: in one process, which is what two detectors come to, see `whole_path`.

    Those of a real clip are counted once for all workers of a run: whoever comes first does it, the others wait.
    """
    if FOOTAGE not in os.environ:
        return count_alone(scene.camera())
    folder = tmp_path_factory.getbasetemp()
    shared = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / f"count-{scene.start:%F}.json"
    with shared.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not file.seek(0, os.SEEK_END):
            json.dump(scene.count(), file)
        file.seek(0)
        found = counted(json.load(file))
    assert len(found) >= 10, "too few crossings for a fault to lose one"
    return found
