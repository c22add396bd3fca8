"""How long work lies still when replicas come, go and die: `python -m tests.bench.bench_leases`.

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
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from nats.aio.msg import Msg

from contracts.events import Tracks
from contracts.frames import FrameHeader
from contracts.identity import LIVE, partition
from contracts.spec import CameraSpec, Capture, Source, current_key, spec_key
from contracts.streams import CAMERAS, LEASES, SOURCES, Owner
from infra.local.service import Service
from infra.local.stack import Stack
from services.kit.bus import Bus
from services.kit.watch import watch
from tests.support.broker import connected, eventually, settings_of

ADDRESS = "sim://door?pace=real&fps=10&width=160&height=90"
CAMERAS_SHARED, REPLICAS = 6, 3
PIECES = {Owner.INGEST: CAMERAS_SHARED, Owner.TRACKER: 32}
SHARED = tuple(PIECES)
EVENTS = ("goes in order", "is killed", "comes", "one goes as another comes")


class Watched:
    """What is seen from outside: who holds what since when, and when each camera last moved on."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.holders: dict[str, str] = {}
        self.moved_at: dict[str, float] = {}
        self.seen: dict[Owner, dict[str, list[float]]] = {owner: defaultdict(list) for owner in SHARED}

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look for as long as the context lasts."""

        async def frame(msg: Msg) -> None:
            self.seen[Owner.INGEST][FrameHeader.from_headers(msg.headers).camera].append(time.monotonic())

        async def tracks(msg: Msg) -> None:
            self.seen[Owner.TRACKER][Tracks.model_validate_json(msg.data).camera].append(time.monotonic())

        subscriptions = [
            await self._bus.client.subscribe(f"metrica.{LIVE}.frames.>", cb=frame),
            await self._bus.client.subscribe(f"metrica.{LIVE}.tracks.>", cb=tracks),
        ]
        leases = asyncio.create_task(self._leases())
        try:
            yield
        finally:
            leases.cancel()
            await asyncio.gather(leases, return_exceptions=True)
            for subscription in subscriptions:
                await subscription.unsubscribe()

    async def _leases(self) -> None:
        async for entry in watch(self._bus, LEASES, "*.piece.*"):
            holder = None if entry.value is None else entry.value.decode()
            if holder is None:
                continue  # about to be taken
            if self.holders.get(entry.key) != holder:
                self.holders[entry.key], self.moved_at[entry.key] = holder, time.monotonic()

    def parts(self, owner: Owner) -> Counter[str]:
        """How many pieces each replica holds."""
        return Counter(holder for key, holder in self.holders.items() if key.startswith(f"{owner}."))

    def pieces(self, owner: Owner, replica: str) -> set[str]:
        """The keys of what a replica holds."""
        return {key for key, holder in self.holders.items() if key.startswith(f"{owner}.") and holder == replica}

    def stood_still(self, owner: Owner, cameras: set[str], since: float) -> float:
        """The longest that one of the cameras did not move on, from that moment or later."""
        longest = 0.0
        for camera in cameras:
            times = [since, *(at for at in self.seen[owner][camera] if at > since)]
            longest = max([longest, *(after - before for before, after in pairwise(times))])
        return longest


class Bench:
    """The running services, and what happens to them."""

    def __init__(self, stack: Stack, watched: Watched) -> None:
        self._stack, self._watched = stack, watched

    def _replicas(self, owner: Owner) -> list[Service]:
        return [one for one in self._stack.services.values() if one.owner is owner]

    async def evenly(self, owner: Owner) -> None:
        """Wait until the running replicas have equal parts, and cameras move."""

        async def look() -> bool:
            names = [one.name for one in self._replicas(owner) if one.running]
            parts = self._watched.parts(owner)
            each, rest = divmod(PIECES[owner], len(names))
            return sorted(parts[name] for name in names) == [each] * (len(names) - rest) + [each + 1] * rest

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
        before = dict(self._watched.holders)
        since = time.monotonic()
        if event == "is killed":
            victim.kill()
        elif event != "comes":
            victim.ask_to_stop()
        for one in absent:
            one.start()
        await self._until_gone(owner, victim, event)
        await self.evenly(owner)
        await asyncio.sleep(2)
        moved = {key for key, holder in self._watched.holders.items() if before.get(key) != holder}
        leases = max((self._watched.moved_at[key] for key in moved), default=since) - since
        still = self._watched.stood_still(owner, _concerned(owner, moved), since)
        for one in replicas:
            await asyncio.to_thread(one.stop) if one is victim and event != "comes" else None
            one.start()
        await self.evenly(owner)
        return leases, still

    async def _until_gone(self, owner: Owner, victim: Service, event: str) -> None:
        async def look() -> bool:
            return not self._watched.pieces(owner, victim.name)

        if event != "comes":
            await eventually(look, within=60)


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
                watched = Watched(bus)
                async with watched.watching():
                    bench = Bench(stack, watched)
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
