"""From the picture to the dashboard: `python -m tests.bench.bench_latency`.

All services run as processes of their own, on a simulated door of ten frames a second in real time, with a detector
that needs no model. For each crossing: when the frame that decided it was captured, when it passed on the bus, when its
detections, the crossing, the totals after the commit and at last the server-sent event did. Each line is the time since
the one before; the last is the whole way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import httpx
from nats.aio.msg import Msg

from contracts.events import CROSSING_EVENT, Counts, Crossing, Detections
from contracts.identity import LIVE
from infra.local.stack import Stack
from services.api.cameras.repository import ensure_camera
from services.api.cameras.setup import CameraSetup
from services.ingest.sources.simulation import open_simulation
from tests.api.served import BROWSER
from tests.support.broker import connected, eventually, settings_of
from tests.support.onlooker import Onlooker, onlooking

STEPS = ("captured → published", "→ detections", "→ crossing", "→ committed, announced", "→ browser")


class Heard:
    """The times at which the results of each crossing passed, in seconds of the wall clock."""

    def __init__(self) -> None:
        self.detections: dict[tuple[str, int], float] = {}
        self.crossings: list[tuple[Crossing, float]] = []
        self.announced: dict[int, float] = {}
        self.shown: dict[int, float] = {}
        """Announced and shown, by how many have been counted."""

    async def hear_detections(self, msg: Msg) -> None:
        """Detections pass."""
        event = Detections.model_validate_json(msg.data)
        self.detections[event.session, event.seq] = time.time()

    async def hear_crossing(self, msg: Msg) -> None:
        """A crossing passes."""
        event = CROSSING_EVENT.validate_json(msg.data)
        if isinstance(event, Crossing):
            self.crossings.append((event, time.time()))

    async def hear_counts(self, msg: Msg) -> None:
        """Totals pass."""
        event = Counts.model_validate_json(msg.data)
        self.announced.setdefault(event.in_ + event.out, time.time())

    def show(self, kind: str, data: str) -> None:
        """A server-sent event comes."""
        if kind == "counts":
            event = json.loads(data)
            self.shown.setdefault(event["in"] + event["out"], time.time())


async def events(url: str, store: str) -> AsyncIterator[tuple[str, str]]:
    """The server-sent events of a store: their kinds and data."""
    async with (
        httpx.AsyncClient(base_url=url, timeout=None, headers=BROWSER) as client,
        client.stream("GET", f"/v1/stores/{store}/events") as stream,
    ):
        kind = ""
        async for line in stream.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield kind, value


async def listen(url: str, store: str, heard: Heard) -> None:
    """Be a browser, for ever."""
    async for kind, data in events(url, store):
        heard.show(kind, data)


def steps(heard: Heard, onlooker: Onlooker) -> list[list[float]]:
    """Milliseconds of each step, and of the whole way, for every crossing that went it alone."""
    offset = time.time() - time.monotonic()
    frames = {(one.header.session, one.header.seq): one for one in onlooker.frames["door"]}
    found: list[list[float]] = [[] for _ in range(len(STEPS) + 1)]
    for count, (crossing, at) in enumerate(heard.crossings, start=1):
        place = crossing.session, crossing.seq
        if count not in heard.announced or count not in heard.shown or place not in frames:
            continue  # two were committed at once: the first of them has no notice of its own
        frame = frames[place]
        captured = frame.header.captured_at / 1e9
        passed = [frame.at + offset, heard.detections[place], at, heard.announced[count], heard.shown[count]]
        for number, (before, after) in enumerate(pairwise([captured, *passed])):
            found[number].append(1000 * (after - before))
        found[-1].append(1000 * (passed[-1] - captured))
    return found


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--model", default="empty-door")
    parser.add_argument("--people", type=float, default=60, help="that come in a minute")
    options = parser.parse_args()
    address = f"sim://door?pace=real&fps=10&people_per_min={options.people:g}"
    setup = CameraSetup(
        camera="door", time_zone="UTC", address=address, model=options.model, lines=(open_simulation(address).line,)
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = {"METRICA_BACKENDS": '{"empty-door": "tests.support.empty_door:EmptyDoor"}'}
        stack = Stack(Path(folder), environment=environment, restart=False)
        await asyncio.to_thread(stack.start)
        try:
            heard = Heard()
            async with connected(settings_of(stack)) as bus, onlooking(bus) as onlooker:
                for kind, hear in (
                    ("detections", heard.hear_detections),
                    ("crossings", heard.hear_crossing),
                    ("counts", heard.hear_counts),
                ):
                    await bus.client.subscribe(f"metrica.{LIVE}.{kind}.>", cb=hear)
                await ensure_camera(stack.api_database_url, setup, stack.vault)
                browser = asyncio.create_task(listen(stack.url, setup.store, heard))
                await eventually(lambda: asyncio.sleep(0, bool(onlooker.tracks["door"])), within=60)
                await asyncio.sleep(options.seconds)
                browser.cancel()
                await asyncio.gather(browser, return_exceptions=True)
                report(steps(heard, onlooker))
        finally:
            await asyncio.to_thread(stack.stop)


def report(found: list[list[float]]) -> None:
    """Print what was measured."""
    print(f"{len(found[-1])} crossings     p50 ms     p99 ms")
    for step, times in zip((*STEPS, "captured → browser"), found, strict=True):
        print(f"{step:24} {statistics.median(times):8.1f} {statistics.quantiles(times, n=100)[98]:10.1f}")


if __name__ == "__main__":
    asyncio.run(main())
