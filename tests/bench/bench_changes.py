"""Delay until a change of a camera is in force, and its effect on the others: `python -m tests.bench.bench_changes`.

All services run as processes of their own, with three simulated cameras of ten frames a second. One of them is changed
in every way there is. The time is from the commit in Postgres to the first frame that shows the change (the first
detections, where the model changes; the session's end, where it is paused or removed). Of the two others, all frames of
the whole run are looked at: how many sessions they had, whether a number is missing, and the longest between two
pictures.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

from nats.aio.msg import Msg

from contracts.events import Detections
from contracts.identity import LIVE
from contracts.spec import Capture, CountingLine
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera, remove_camera
from services.api.cameras.setup import CameraSetup
from tests.support.broker import connected, eventually, settings_of
from tests.support.onlooker import Onlooker, SeenFrame, onlooking

OTHERS = ("other-1", "other-2")
ADDRESS = "sim://door?pace=real&fps=10&width=320&height=180"
ELSEWHERE = "sim://door?pace=real&fps=10&width=160&height=90"
LINE = CountingLine(id="line", x1=0.1, y1=0.6, x2=0.9, y2=0.6)
BACKENDS = '{"sleeper": "tests.support.sleeper:not_at_all", "other": "tests.support.sleeper:of_another_name"}'


class Bench:
    """A stack with its cameras, and one that is changed."""

    def __init__(self, stack: Stack, onlooker: Onlooker, models: dict[str, str]) -> None:
        self._stack, self._onlooker, self._models = stack, onlooker, models
        self.times: defaultdict[str, list[float]] = defaultdict(list)

    async def change_in_every_way(self) -> None:
        """Each change, one after the other; at the end the camera is gone."""
        setup = _setup("changed")
        await self._take("added", self._set(setup), lambda: bool(self._seen))
        moved = setup.model_copy(update={"lines": (LINE.model_copy(update={"y1": 0.5}),)})
        await self._take("line moved", self._set(moved), self._has_new_revision())
        other_model = moved.model_copy(update={"model": "other"})
        await self._take("other model", self._set(other_model), lambda: self._models.get("changed") == "other")
        slower = other_model.model_copy(update={"capture": Capture(fps=5)})
        await self._take("other frame rate", self._set(slower), self._has_new_revision())
        elsewhere = slower.model_copy(update={"address": ELSEWHERE})
        await self._take("other address", self._set(elsewhere), lambda: self._seen[-1].header.width == 160)
        paused = elsewhere.model_copy(update={"paused": True})
        await self._take("paused", self._set(paused), self._has_ended)
        await self._take("goes on", self._set(elsewhere), lambda: not self._has_ended())
        await self._take("removed", remove_camera(self._stack.api_database_url, "changed"), self._has_ended)
        self._seen.clear()
        self._models.clear()

    async def _set(self, setup: CameraSetup) -> None:
        await ensure_camera(self._stack.api_database_url, setup)

    async def _take(self, what: str, change: Awaitable[None], in_force: Callable[[], bool]) -> None:
        await change
        committed = time.monotonic()
        await eventually(lambda: asyncio.sleep(0, in_force()), within=30)
        self.times[what].append(time.monotonic() - committed)
        await asyncio.sleep(1)

    @property
    def _seen(self) -> list[SeenFrame]:
        return self._onlooker.frames["changed"]

    def _has_new_revision(self) -> Callable[[], bool]:
        before = self._seen[-1].header.spec_revision
        return lambda: self._seen[-1].header.spec_revision > before

    def _has_ended(self) -> bool:
        return self._seen[-1].header.end is not None


def _setup(camera: str) -> CameraSetup:
    return CameraSetup(camera=camera, store="shop", time_zone="UTC", address=ADDRESS, model="sleeper", lines=(LINE,))


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), environment={"METRICA_BACKENDS": BACKENDS}, restart=False)
        await asyncio.to_thread(stack.start)
        try:
            async with connected(settings_of(stack)) as bus, onlooking(bus) as onlooker:
                models: dict[str, str] = {}

                async def see(msg: Msg) -> None:
                    event = Detections.model_validate_json(msg.data)
                    models[event.camera] = event.model.name if event.model else ""

                await bus.client.subscribe(f"metrica.{LIVE}.detections.>", cb=see)
                for camera in OTHERS:
                    await ensure_camera(stack.api_database_url, _setup(camera))
                await eventually(lambda: asyncio.sleep(0, all(onlooker.frames[camera] for camera in OTHERS)), within=60)
                bench = Bench(stack, onlooker, models)
                for _ in range(options.runs):
                    await bench.change_in_every_way()
                report(bench.times, onlooker)
        finally:
            await asyncio.to_thread(stack.stop)


def report(times: dict[str, list[float]], onlooker: Onlooker) -> None:
    """Print what was measured."""
    for what, seconds in times.items():
        each = ", ".join(f"{one:.2f}" for one in seconds)
        print(
            f"{what:18} in force after s: {each}; median {statistics.median(seconds):.2f}, longest {max(seconds):.2f}"
        )
    for camera in OTHERS:
        headers = [one.header for one in onlooker.frames[camera]]
        sessions = len({one.session for one in headers})
        missing = sum(after.seq != before.seq + 1 for before, after in pairwise(headers))
        longest = max(after.captured_at - before.captured_at for before, after in pairwise(headers)) / 1e9
        print(
            f"{camera}: {len(headers)} frames, {sessions} session, {missing} numbers missing, "
            f"longest between two pictures {longest:.2f} s"
        )


if __name__ == "__main__":
    asyncio.run(main())
