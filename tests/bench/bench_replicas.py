"""Throughput of eight detector replicas beside one: `python -m tests.bench.bench_replicas`.

The services are the real ones, as processes of their own: nats-server, the tracker, and detectors whose backend sleeps
40 ms instead of computing, so that a replica's work is not bounded by the cores of this machine. Frames are JPEGs of
60 KB. `kept` are those of files: ten cameras, as fast as the stream takes them. `frames` are those of live cameras:
sixteen, 15 frames a second each, more than eight replicas can look at.

The rate is that of the detections by the broker's clock, without the first and last second. Each round shows that the
tracker saw every camera's frames in order, and all of those that were not dropped in FRAMES. `CPU` is what the
processes took for a frame, `others` how many cores the rest of the machine was using meanwhile: where these are not
enough for all, the ratio says nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from contracts.events import CROSSING_EVENT, Detections, SessionEnd, Tracks
from contracts.frames import EndReason, FrameHeader
from contracts.identity import LIVE, Policy
from contracts.spec import CameraSpec, current_key, spec_key
from contracts.streams import CAMERAS, CROSSINGS, DETECTIONS, Owner
from contracts.subjects import Kind
from infra.local.stack import Stack
from services.ingest.publishing import Publisher
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer
from tests.support.broker import connected, eventually, settings_of, stored
from tests.support.processor import Processor

WIDTH, HEIGHT, FRAME_BYTES = 640, 360, 60_000
FILES, LIVE_CAMERAS, LIVE_FPS = 10, 16, 15.0
EDGE = 1.0
"""Seconds at both ends of a round that are not counted: replicas begin and end one by one."""


@dataclass(frozen=True, slots=True)
class Result:
    """Results of a round: frames a second, CPU milliseconds for a frame by process, cores that others used."""

    rate: float
    cost: dict[str, float]
    others: float

    def __str__(self) -> str:
        cost = ", ".join(f"{name} {ms:.1f}" for name, ms in self.cost.items())
        return f"{self.rate:6.1f} frames/s   CPU ms: {cost}   others: {self.others:.1f} cores"


def picture() -> bytes:
    """A JPEG of about 60 KB: noise, of which a good camera has little and a dark shop much."""
    chance = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(chance.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 9)
    for noise in range(1, 60):
        noisy = np.clip(smooth + chance.normal(0, noise, smooth.shape), 0, 255).astype(np.uint8)
        jpeg = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
        if len(jpeg) >= FRAME_BYTES:
            return jpeg
    raise ValueError("no noise makes such a picture")


class Bench:
    """The running services, and rounds over them."""

    def __init__(self, stack: Stack, bus: Bus, jpeg: bytes) -> None:
        self._stack, self._bus, self._jpeg = stack, bus, jpeg
        self._detectors = [one for one in stack.services.values() if one.owner is Owner.DETECTOR]
        self._rounds = 0

    async def set_replicas(self, count: int) -> None:
        """Have so many detectors at work."""
        for one in self._detectors[count:]:
            await asyncio.to_thread(one.stop)
        for one in self._detectors[:count]:
            one.start()
        await asyncio.gather(*(asyncio.to_thread(one.wait_ready) for one in self._detectors[:count]))

    async def configure(self, cameras: Sequence[CameraSpec]) -> None:
        """Make cameras known."""
        bucket = await self._bus.bucket(CAMERAS)
        for spec in cameras:
            for key in (spec_key(spec.camera, spec.revision), current_key(spec.camera)):
                await bucket.put(key, spec.model_dump_json().encode())

    async def round(self, cameras: Sequence[CameraSpec], frames: int) -> Result:
        """Send so many frames of each camera, and see them through.

        Raises:
            AssertionError: the tracker did not see what it had to.
        """
        self._rounds += 1
        session, every = f"round-{self._rounds}", cameras[0].policy is Policy.EVERY
        began = [
            (await self._bus.js.stream_info(name)).state.last_seq
            for name in (DETECTIONS.name, CROSSINGS.name, Kind.CROSSINGS)
        ]
        processor = Processor(
            {
                "detectors": [one.pid for one in self._detectors if one.running],
                "tracker": [self._stack.services["tracker"].pid],
                "nats": [self._stack.nats.pid],
                "sender": [None],
            }
        )
        async with self._watched() as seen:
            send = self._send_all if every else self._send_live
            published = await asyncio.gather(*(send(spec, session, frames) for spec in cameras))
            await eventually(lambda: self._ends(began[1], len(cameras)), within=120)
            cost, others = processor.look()
            times = await self._times(began[0])
            await self._bus.client.flush()
        ends = {end.camera: end for end in await self._ends(began[1], len(cameras))}
        for spec, count in zip(cameras, published, strict=True):
            seqs, end = seen[spec.camera], ends[spec.camera]
            assert seqs == sorted(set(seqs)), f"{spec.camera}: out of order"
            # The one that ends the session is shown too, and is no frame.
            assert len(seqs) == end.frames + 1, f"{spec.camera}: {len(seqs)} frames seen, {end.frames} tracked"
            assert end.frames + end.missed == count, f"{spec.camera}: {count} published, {end}"
            assert end.skipped == 0
            assert not every or end.missed == 0, f"{spec.camera}: {end.missed} frames of a file lost"
        looked = [at for at in times if times[0] + EDGE <= at <= times[-1] - EDGE]
        rate = (len(looked) - 1) / (looked[-1] - looked[0])
        return Result(rate, {name: 1000 * seconds / len(times) for name, seconds in cost.items()}, others)

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[dict[str, list[int]]]:
        """The seqs of each camera as the tracker takes them."""
        seen: defaultdict[str, list[int]] = defaultdict(list)

        async def see(msg: Msg) -> None:
            tracks = Tracks.model_validate_json(msg.data)
            seen[tracks.camera].append(tracks.seq)

        subscription = await self._bus.client.subscribe(f"metrica.{LIVE}.tracks.>", cb=see)
        await self._bus.client.flush()
        try:
            yield seen
        finally:
            await subscription.unsubscribe()

    async def _send_all(self, spec: CameraSpec, session: str, frames: int) -> int:
        """The frames of a file."""
        publisher = Publisher(self._bus, spec.camera)
        for seq in range(frames):
            await publisher.keep(_header(spec, session, seq), self._jpeg, spec)
        await publisher.keep(_header(spec, session, frames, EndReason.FINISHED), b"", spec)
        return frames

    async def _send_live(self, spec: CameraSpec, session: str, frames: int) -> int:
        """The frames of a camera, each at its time."""
        publisher, began = Publisher(self._bus, spec.camera), time.monotonic()
        await asyncio.sleep(crc32(spec.camera.encode()) % 100 / 100 / LIVE_FPS)
        for seq in range(frames):
            await asyncio.sleep(began + seq / LIVE_FPS - time.monotonic())
            assert await publisher.offer(_header(spec, session, seq), self._jpeg, spec)
        await asyncio.sleep(1)  # a frame that is still being looked at comes in time
        assert await publisher.offer(_header(spec, session, frames, EndReason.STOPPED), b"", spec)
        return frames

    async def _ends(self, behind: int, count: int) -> list[SessionEnd]:
        if (await self._bus.js.stream_info(CROSSINGS.name)).state.last_seq < behind + count:
            return []
        bodies = await stored(self._bus, CROSSINGS.name, Kind.CROSSINGS, after=behind)
        events = [CROSSING_EVENT.validate_json(body) for body in bodies]
        return [event for event in events if isinstance(event, SessionEnd)]

    async def _times(self, behind: int) -> list[float]:
        """The times at which the detections of a round's frames were stored."""
        last, times = (await self._bus.js.stream_info(DETECTIONS.name)).state.last_seq, []
        config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=behind + 1)
        async with OrderedConsumer(self._bus, DETECTIONS.name, config) as consumer:
            async for msg in consumer:
                if Detections.model_validate_json(msg.data).end is None:
                    times.append(msg.metadata.timestamp.timestamp())
                if msg.metadata.sequence.stream == last:
                    return times
        raise AssertionError("unreachable")


def _header(spec: CameraSpec, session: str, seq: int, end: EndReason | None = None) -> FrameHeader:
    return FrameHeader(
        run=LIVE,
        store=spec.store,
        camera=spec.camera,
        session=session,
        seq=seq,
        previous=seq - 1 if seq else None,
        captured_at=time.time_ns(),
        width=WIDTH,
        height=HEIGHT,
        spec_revision=spec.revision,
        policy=spec.policy,
        end=end,
    )


def _cameras(policy: Policy, count: int) -> list[CameraSpec]:
    return [
        CameraSpec(store="shop", camera=f"{policy}-{number}", model="sleeper", policy=policy, preview_fps=0)
        for number in range(count)
    ]


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="about how long a measurement takes")
    parser.add_argument("--kinds", default="kept,frames")
    options = parser.parse_args()
    kinds = {
        "kept": _cameras(Policy.EVERY, FILES),
        "frames": _cameras(Policy.LATEST, LIVE_CAMERAS),
    }
    kinds = {name: cameras for name, cameras in kinds.items() if name in options.kinds.split(",")}
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(
            Path(folder),
            replicas={Owner.DETECTOR: options.replicas, Owner.INGEST: 0, Owner.PERSISTENCE: 0, Owner.API: 0},
            environment={"METRICA_BACKENDS": '{"sleeper": "tests.support.sleeper:for_40_ms"}'},
            restart=False,
        )
        stack.start_servers()
        try:
            async with connected(settings_of(stack), everything=True) as bus:
                await asyncio.to_thread(stack.start_services)
                bench = Bench(stack, bus, picture())
                for cameras in kinds.values():
                    await bench.configure(cameras)
                await compare(bench, kinds, options)
        finally:
            await asyncio.to_thread(stack.stop)


async def compare(bench: Bench, kinds: dict[str, list[CameraSpec]], options: argparse.Namespace) -> None:
    """One replica and many, in turn."""
    ratios: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(1, options.rounds + 1):
        rates: defaultdict[str, list[float]] = defaultdict(list)
        for replicas in (1, options.replicas):
            await bench.set_replicas(replicas)
            for kind, cameras in kinds.items():
                rate = 24 * replicas / len(cameras) if cameras[0].policy is Policy.EVERY else LIVE_FPS
                result = await bench.round(cameras, round(rate * (options.seconds + 2 * EDGE)))
                rates[kind].append(result.rate)
                print(f"round {number}  {kind:6}  {replicas} replicas  {result}", flush=True)
        for kind, (one, many) in rates.items():
            ratios[kind].append(many / one)
            print(f"round {number}  {kind:6}  ratio {many / one:.2f}", flush=True)
    for kind, of_kind in ratios.items():
        each = ", ".join(f"{ratio:.2f}" for ratio in of_kind)
        print(f"{kind:6}  ratios {each}; median {statistics.median(of_kind):.2f}")


if __name__ == "__main__":
    asyncio.run(main())
