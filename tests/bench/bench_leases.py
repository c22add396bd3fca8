"""Time for which work lies still when replicas come, go and die: `python -m tests.bench.bench_leases`.

Three ingest and three trackers, as processes of their own, share six simulated cameras of ten frames a second. A line
is what happened to one of them, in several runs: until the last lease had another holder, and the longest that one of
the cameras concerned stood still, from the moment of the signal: without frames (ingest), or without tracks (tracker).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from contracts.identity import partition
from contracts.spec import CameraSpec, Capture, Source, current_key, spec_key
from contracts.streams import CAMERAS, SOURCES, Owner
from infra.local.processes.service import Service
from infra.local.stack import Stack
from services.kit.nats.bus import Bus
from tests.support.broker import connected, eventually, settings_of
from tests.support.onlooker import Onlooker, onlooking

ADDRESS = "sim://door?pace=real&fps=10&width=160&height=90"
CAMERAS_SHARED, REPLICAS = 6, 3
PIECES = {Owner.INGEST: CAMERAS_SHARED, Owner.TRACKER: 32}
SHARED = tuple(PIECES)
EVENTS = ("goes in order", "is killed", "comes", "one goes as another comes")


class Bench:
    """The running services, and what happens to them."""

    def __init__(self, stack: Stack, onlooker: Onlooker) -> None:
        self._stack, self._onlooker = stack, onlooker

    def _replicas(self, owner: Owner) -> list[Service]:
        return [one for one in self._stack.services.values() if one.owner is owner]

    async def evenly(self, owner: Owner) -> None:
        """Wait until the running replicas have equal parts."""

        async def look() -> bool:
            names = [one.name for one in self._replicas(owner) if one.running]
            return self._onlooker.even(owner, names, PIECES[owner])

        await eventually(look, within=60)

    async def happen(self, owner: Owner, event: str, number: int) -> tuple[float, float]:
        """Let something happen to one replica; returns seconds until the last lease moved, and of standing still."""
        replicas = self._replicas(owner)
        victim, newcomer = replicas[number % REPLICAS], replicas[(number + 1) % REPLICAS]
        absent = {"comes": [victim], "one goes as another comes": [newcomer]}.get(event, [])
        for one in absent:
            await asyncio.to_thread(one.stop)
        await self.evenly(owner)
        await asyncio.sleep(2)
        before = dict(self._onlooker.holders)
        since = time.monotonic()
        if event == "is killed":
            victim.kill()
        elif event != "comes":
            victim.ask_to_stop()
        for one in absent:
            one.start()
        if event != "comes":
            await eventually(lambda: self._has_nothing(owner, victim), within=60)
        await self.evenly(owner)
        await asyncio.sleep(2)
        moved = {key for key, holder in self._onlooker.holders.items() if before.get(key) != holder}
        leases = max((self._onlooker.moved_at[key] for key in moved), default=since) - since
        still = self._stood_still(owner, _concerned(owner, moved), since)
        if event != "comes":
            await asyncio.to_thread(victim.stop)
        victim.start()
        await self.evenly(owner)
        return leases, still

    async def _has_nothing(self, owner: Owner, replica: Service) -> bool:
        return self._onlooker.parts(owner)[replica.name] == 0

    def _stood_still(self, owner: Owner, cameras: set[str], since: float) -> float:
        """The longest that one of the cameras did not move on, from that moment or later."""
        longest = 0.0
        for camera in cameras:
            seen = self._onlooker.frames[camera] if owner is Owner.INGEST else self._onlooker.tracks[camera]
            times = [since, *(one.at for one in seen if one.at > since)]
            longest = max([longest, *(after - before for before, after in pairwise(times))])
        return longest


def _concerned(owner: Owner, keys: set[str]) -> set[str]:
    """The cameras whose pieces these are."""
    pieces = {key.rpartition(".")[2] for key in keys if key.startswith(f"{owner}.")}
    names = {f"camera-{number}" for number in range(CAMERAS_SHARED)}
    return {name for name in names if (name if owner is Owner.INGEST else str(partition(name))) in pieces}


async def configure(bus: Bus) -> None:
    """Make the cameras known."""
    specs, sources = await bus.bucket(CAMERAS), await bus.bucket(SOURCES)
    for number in range(CAMERAS_SHARED):
        camera = f"camera-{number}"
        spec = CameraSpec(store="shop", camera=camera, model="sleeper", capture=Capture(), preview_fps=0)
        await sources.put(camera, Source(camera=camera, address=ADDRESS).model_dump_json().encode())
        for key in (spec_key(camera, 1), current_key(camera)):
            await specs.put(key, spec.model_dump_json().encode())


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--events", default="", help=f"comma-separated, of: {', '.join(EVENTS)}")
    options = parser.parse_args()
    events = options.events.split(",") if options.events else EVENTS
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(
            Path(folder),
            replicas=dict.fromkeys(SHARED, REPLICAS) | {Owner.PERSISTENCE: 0, Owner.API: 0},
            environment={"METRICA_BACKENDS": '{"sleeper": "tests.support.sleeper:not_at_all"}'},
            restart=False,
        )
        stack.start_servers()
        try:
            async with connected(settings_of(stack), everything=True) as bus:
                await asyncio.to_thread(stack.start_services)
                await configure(bus)
                async with onlooking(bus) as onlooker:
                    bench = Bench(stack, onlooker)
                    for owner in SHARED:
                        await bench.evenly(owner)
                    await measure(bench, events, options.runs)
        finally:
            await asyncio.to_thread(stack.stop)


async def measure(bench: Bench, events: Sequence[str], runs: int) -> None:
    """Let everything happen so often, and print it."""
    for event in events:
        for owner in SHARED:
            found = [await bench.happen(owner, event, number) for number in range(runs)]
            for what, times in zip(("leases moved after", "stood still for"), zip(*found, strict=True), strict=True):
                each = ", ".join(f"{seconds:.2f}" for seconds in times)
                print(f"{owner:8} {event:26} {what:18} s: {each}; median {statistics.median(times):.2f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
