"""Age of frames when more come than can be looked at: `python -m tests.bench.bench_overload`.

All services but the API and the database run as processes of their own. Four live cameras send 25 frames a second each
to one detector that takes 100 ms for a frame: ten times too many. Then a file comes along, which must lose none. The
age is that of a frame from its capture until its detections are stored, by windows of time: it must not grow.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import httpx
from nats.aio.msg import Msg

from contracts.events import CROSSING_EVENT, Detections, SessionEnd
from contracts.identity import LIVE, Policy
from contracts.spec import CameraSpec, Source, current_key, spec_key
from contracts.streams import CAMERAS, CROSSINGS, SOURCES, Owner
from infra.local.stack import Stack
from services.kit.nats.bus import Bus
from tests.support.broker import connected, eventually, settings_of, stored
from tests.support.onlooker import Onlooker, onlooking

LIVE_CAMERAS, FPS = 4, 25
SIM = f"sim://door?pace=real&fps={FPS}&width=640&height=360"
FILE = "sim://door?pace=max&people=1&spacing=clear&fps=5&width=320&height=180"


async def configure(bus: Bus, camera: str, address: str, policy: Policy, *, paused: bool = False) -> None:
    """Make a camera known, or pause it."""
    spec = CameraSpec(
        store="shop", camera=camera, model="sleeper", policy=policy, preview_fps=0, paused=paused, revision=1 + paused
    )
    await (await bus.bucket(SOURCES)).put(camera, Source(camera=camera, address=address).model_dump_json().encode())
    for key in (spec_key(camera, spec.revision), current_key(camera)):
        await (await bus.bucket(CAMERAS)).put(key, spec.model_dump_json().encode())


class Ages:
    """The ages of live frames as their detections come."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.seen: list[tuple[float, float]] = []
        self.of_file = 0

    async def see(self, msg: Msg) -> None:
        """Detections pass."""
        event = Detections.model_validate_json(msg.data)
        if event.policy is Policy.EVERY:
            self.of_file += 1
        elif event.end is None:
            self.seen.append((time.monotonic() - self.began, (time.time_ns() - event.captured_at) / 1e9))

    def report(self, seconds: float, windows: int) -> None:
        """Print them by windows of time."""
        for number in range(windows):
            begin, end = number * seconds / windows, (number + 1) * seconds / windows
            ages = [age for at, age in self.seen if begin <= at < end]
            p50, p99 = statistics.median(ages), statistics.quantiles(ages, n=100)[98]
            told = f"age p50 {p50:.2f} s, p99 {p99:.2f} s, oldest {max(ages):.2f} s"
            print(f"{begin:3.0f}–{end:3.0f} s: {len(ages)} frames, {told}")


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--windows", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(
            Path(folder),
            replicas={Owner.PERSISTENCE: 0, Owner.API: 0},
            environment={"METRICA_BACKENDS": '{"sleeper": "tests.support.sleeper:for_100_ms"}'},
            restart=False,
        )
        stack.start_servers()
        try:
            async with connected(settings_of(stack), everything=True) as bus, onlooking(bus) as onlooker:
                await asyncio.to_thread(stack.start_services)
                await measure(stack, bus, onlooker, options.seconds, options.windows)
        finally:
            await asyncio.to_thread(stack.stop)


async def measure(stack: Stack, bus: Bus, onlooker: Onlooker, seconds: float, windows: int) -> None:
    """Cameras alone, then with a file beside them."""
    names = [f"live-{number}" for number in range(LIVE_CAMERAS)]
    for name in names:
        await configure(bus, name, SIM, Policy.LATEST)
    await eventually(lambda: asyncio.sleep(0, all(onlooker.tracks[name] for name in names)), within=60)
    for beside in ("", "file"):
        ages = Ages()
        subscription = await bus.client.subscribe(f"metrica.{LIVE}.detections.>", cb=ages.see)
        if beside:
            await configure(bus, beside, FILE, Policy.EVERY)
        await asyncio.sleep(seconds)
        await subscription.unsubscribe()
        print("with a file beside them:" if beside else "live cameras alone:")
        ages.report(seconds, windows)
    ends = await eventually(lambda: sessions(bus, ["file"]), within=300)
    print(f"file: {ends[0].frames} frames looked at, {ends[0].missed} lost, {ends[0].skipped} skipped")
    for name in names:
        await configure(bus, name, SIM, Policy.LATEST, paused=True)
    ends = await eventually(lambda: sessions(bus, names), within=60)
    for end in ends:
        published = sum(one.header.end is None for one in onlooker.frames[end.camera])
        print(f"{end.camera}: {published} frames published, {end.frames} looked at, {end.missed} counted as missed")
        assert published == end.frames + end.missed
    async with httpx.AsyncClient(base_url=stack.services["tracker"].url, follow_redirects=True) as client:
        metrics = (await client.get("/metrics")).text
    print("\n".join(line for line in metrics.splitlines() if line.startswith("metrica_tracker_missed_total")))


async def sessions(bus: Bus, names: list[str]) -> list[SessionEnd]:
    """The ends of the cameras' sessions, once all have come."""
    events = [CROSSING_EVENT.validate_json(body) for body in await stored(bus, CROSSINGS.name)]
    ends = [event for event in events if isinstance(event, SessionEnd) and event.camera in names]
    return ends if len(ends) == len(names) else []


if __name__ == "__main__":
    asyncio.run(main())
