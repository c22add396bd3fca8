"""Everything is killed and stopped in turn while people are counted: `pytest tests/faults --seeds 7,8`.

Victims and moments follow from the seed alone. The services run with replicas on real servers, and nobody but the plan
starts again what fell. Films (`every`) end as if nothing had been, and a browser that watched saw nothing but what the
database held. Of live cameras (`latest`) what nobody saw is lost; nobody counts twice, and pictures flow again after
every strike.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.streams import Owner
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from tests.faults.browser import Browser
from tests.faults.films import UNHURRIED, Films
from tests.faults.history import History, difference
from tests.faults.mischief import Mischief, Story, last_words, plan
from tests.faults.streets import Street, answered, streets
from tests.support.broker import eventually, jetstream
from tests.support.record import crossings, wait_for_end
from tests.support.scene import STORE

DEFAULT_SEEDS = {
    "test_whatever_is_killed_or_stopped_each_crossing_is_counted_once": [1, 2],
    "test_live_cameras_count_nobody_twice_and_never_stand_still": [1],
}
REPLICAS = {Owner.INGEST: 2, Owner.DETECTOR: 3, Owner.TRACKER: 2, Owner.PERSISTENCE: 2, Owner.API: 2, Owner.REPLAY: 2}
LAST_STRIKE = 15.0
"""Seconds. On any machine the films take longer."""
PATIENCE = 200.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each of these tests runs once for each of `--seeds`."""
    seeds = metafunc.config.getoption("--seeds") or DEFAULT_SEEDS[metafunc.function.__name__]
    metafunc.parametrize("seed", seeds)


@pytest.mark.timeout(400)
def test_whatever_is_killed_or_stopped_each_crossing_is_counted_once(tmp_path: Path, films: Films, seed: int) -> None:
    with Stack(tmp_path, replicas=REPLICAS, restart=False, durable=False, environment=UNHURRIED) as stack:
        mischief = Mischief(stack, plan(seed, LAST_STRIKE))
        with told(mischief):
            asyncio.run(_count(stack, films, mischief))


@pytest.mark.timeout(400)
def test_live_cameras_count_nobody_twice_and_never_stand_still(tmp_path: Path, seed: int) -> None:
    with (
        Stack(tmp_path, replicas=REPLICAS, restart=False, durable=False, environment=UNHURRIED) as stack,
        streets(3) as watched,
    ):
        mischief = Mischief(stack, plan(seed, LAST_STRIKE))
        with told(mischief):
            asyncio.run(_watch(stack, watched, mischief))


async def _count(stack: Stack, films: Films, mischief: Mischief) -> None:
    history = History(stack.database_url)
    await history.begin()
    for camera in films.cameras:
        await ensure_camera(stack.api_database_url, camera, stack.vault)
    browser = Browser(api_urls(stack), STORE, mischief.story.tell)
    watching = asyncio.create_task(browser.follow())
    try:
        await asyncio.gather(
            asyncio.to_thread(mischief.run), *(_end(stack, one, mischief.story) for one in films.cameras)
        )
        assert mischief.fallen() == []
        found = {one.camera: await crossings(stack.database_url, one.camera) for one in films.cameras}
        assert difference(films.undisturbed, found) == []
        await history.assert_rollups_agree()
        async with asyncio.timeout(PATIENCE):
            await browser.sees(await history.totals(STORE))
        await history.assert_held(browser.shown)
    finally:
        mischief.end()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _watch(stack: Stack, watched: Sequence[Street], mischief: Mischief) -> None:
    for street in watched:
        await ensure_camera(stack.api_database_url, street.camera, stack.vault)
    try:
        await asyncio.to_thread(mischief.run)
        assert mischief.fallen() == []
        back = time.time()
        for street in watched:
            await _counts_again(stack, street, back, mischief.story)
    finally:
        mischief.end()
    await History(stack.database_url).assert_rollups_agree()
    async with jetstream(stack) as js:
        frames = await answered(js)
    for street in watched:
        await street.assert_nobody_counted_twice(stack)
        street.assert_flowed(frames[street.camera.camera], mischief)


async def _counts_again(stack: Stack, street: Street, since: float, story: Story) -> None:
    """Wait until somebody is counted who crossed after a moment (seconds since the epoch)."""

    async def counted() -> bool:
        return any(row[4] > since * 1e9 for row in await crossings(stack.database_url, street.camera.camera))

    await eventually(counted, within=PATIENCE)
    story.tell(f"{street.camera.camera} counts again")


async def _end(stack: Stack, camera: CameraSetup, story: Story) -> None:
    session = await wait_for_end(stack.database_url, camera.camera, within=PATIENCE)
    story.tell(f"{camera.camera} is counted to its end: {session}")
    assert (session["reason"], session["skipped"], session["missed"]) == ("finished", 0, 0)


def api_urls(stack: Stack) -> list[str]:
    """The addresses at which the API's replicas answer."""
    return [service.url for service in stack.services.values() if service.owner is Owner.API]


@contextmanager
def told(mischief: Mischief) -> Iterator[None]:
    """Print what was done when; where the test fails, also everybody's last words."""
    try:
        yield
    except BaseException:
        for name, process in sorted(mischief.processes.items()):
            print(f"\n{name}:\n{last_words(process.log)}")
        raise
    finally:
        print(mischief.story)
