"""Cost of a frame in each stage: `METRICA_MODELS=… python -m tests.bench.bench_stages`.

The cost is processor time, which other work on the machine changes little. Ingest's is measured in this process;
detector, tracker and persistence are the real services, one after the other given something to do. The last column is
what one core does of it in a second. Frames are 640×360 of the simulated door at JPEG quality 85; inference has one
thread; the tracker's detections have five people in each frame; persistence's crossings come from two stores of four
lines.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from pathlib import Path

from contracts.events import Detections
from contracts.frames import EndReason, FrameHeader
from contracts.identity import LIVE, Policy, to_ns
from contracts.spec import CameraSpec, Capture, current_key, spec_key
from contracts.streams import CAMERAS, CROSSINGS, DETECTIONS, Owner
from contracts.subjects import crossings, detections
from infra.local.stack import Stack
from services.ingest.publishing import Publisher
from services.ingest.sources.opening import open_source
from services.kit.codec import Encoded, Image, encode
from services.kit.nats.bus import Bus
from tests.persistence.builders import NOON, crowd
from tests.support.broker import connected, eventually, settings_of
from tests.support.processor import Processor
from tests.tracker.scenes import film, seen, walk

NO_INFERENCE = "sleeper"
BACKENDS = '{"sleeper": "tests.support.sleeper:not_at_all"}'
PEOPLE = 5


def picture() -> Image:
    """The simulated door with people in it."""
    source = open_source("sim://door?people=40&pace=max&people_per_min=60")
    for _ in range(120):
        source.grab()
    image = source.retrieve()
    source.close()
    return image


class Bench:
    """The running services, and what is measured of them."""

    def __init__(self, stack: Stack, bus: Bus, frames: int) -> None:
        self._stack, self._bus, self._frames = stack, bus, frames

    async def ingest(self, image: Image) -> None:
        """Encoding alone, and with the publishing of a live camera's frames, a preview four times a second included."""

        async def encode_all() -> None:
            for _ in range(self._frames):
                encode(image, Capture())

        async def publish_all() -> None:
            camera = CameraSpec(store="shop", camera="live", model="nobodys")
            publisher = Publisher(self._bus, camera.camera)
            for seq in range(self._frames):
                encoded = encode(image, camera.capture)
                assert await publisher.offer(_header(camera, seq, encoded), encoded.jpeg, camera)

        await self._measure("ingest: encode", None, encode_all, self._frames)
        await self._measure("ingest: encode, publish", None, publish_all, self._frames)

    async def detector(self, model: str, frame: Encoded) -> None:
        """Fetch, decode, look and publish."""
        camera = CameraSpec(store="shop", camera=f"by-{model}", model=model, policy=Policy.EVERY, preview_fps=0)
        await self._configure(camera)
        publisher = Publisher(self._bus, camera.camera)

        async def send(first: int, count: int) -> None:
            for seq in range(first, first + count):
                await publisher.keep(_header(camera, seq, frame), frame.jpeg, camera)
            await eventually(lambda: self._are_answered(camera, first + count), within=300)

        await send(0, 10)  # until the model is open
        what = "no inference" if model == NO_INFERENCE else model
        pid = self._stack.services["detector"].pid
        await self._measure(f"detector: {what}", pid, lambda: send(10, self._frames), self._frames)

    async def tracker(self) -> None:
        """Order, track, show, checkpoint."""
        camera = CameraSpec(store="shop", camera="cam", model="nobodys")
        await self._configure(camera)
        seconds = self._frames / 10
        lanes = [
            walk(*((t, 200 + 800 * (t // 8 % 2), 100 + 120 * n) for t in range(0, round(seconds) + 8, 8)))
            for n in range(PEOPLE)
        ]
        frames = film(lanes, seconds=seconds)

        async def send() -> None:
            await self._publish_detections([*frames, seen(len(frames), end=EndReason.FINISHED)])
            await eventually(lambda: self._has(CROSSINGS.name, crossings(LIVE, "shop", "cam"), 1), within=300)

        pid = self._stack.services["tracker"].pid
        await self._measure(f"tracker: {PEOPLE} people", pid, send, len(frames))

    async def persistence(self, number: int) -> None:
        """Insert, fold, announce."""
        events = crowd(number, seed=time.time_ns(), stores=("north", "south"), span=timedelta(days=3))
        before = (await self._bus.js.stream_info(CROSSINGS.name)).state.last_seq

        async def send() -> None:
            for start in range(0, number, 64):
                await asyncio.gather(
                    *(
                        self._bus.publish(crossings(LIVE, one.store, one.camera), one.encode(), msg_id=f"live/{one.id}")
                        for one in events[start : start + 64]
                    )
                )
            await eventually(lambda: self._are_stored(before + number), within=300)

        pid = self._stack.services["persistence"].pid
        began = time.monotonic()
        await self._measure("persistence: a crossing", pid, send, number)
        print(f"{'':30} {number / (time.monotonic() - began):,.0f} rows/s, sent as quickly as one process does")

    async def _measure(self, what: str, pid: int | None, work: Callable[[], Awaitable[None]], count: int) -> None:
        processor = Processor({"stage": [pid], "nats": [self._stack.nats.pid]})
        await work()
        cost, _ = processor.look()
        stage = 1000 * cost["stage"] / count
        print(f"{what:40} {stage:8.2f} ms {1000 / stage:10,.0f} a second", flush=True)

    async def _configure(self, camera: CameraSpec) -> None:
        for key in (spec_key(camera.camera, 1), current_key(camera.camera)):
            await (await self._bus.bucket(CAMERAS)).put(key, camera.model_dump_json().encode())

    async def _publish_detections(self, events: Iterable[Detections]) -> None:
        for event in events:
            await self._bus.publish(detections(LIVE, event.store, event.camera), event.encode())

    async def _are_answered(self, camera: CameraSpec, count: int) -> bool:
        return await self._has(DETECTIONS.name, detections(LIVE, camera.store, camera.camera), count)

    async def _has(self, stream: str, subject: str, count: int) -> bool:
        info = await self._bus.js.stream_info(stream, subjects_filter=subject)
        return (info.state.subjects or {}).get(subject, 0) >= count

    async def _are_stored(self, place: int) -> bool:
        consumer = await self._bus.js.consumer_info(CROSSINGS.name, Owner.PERSISTENCE.value)
        return consumer.ack_floor is not None and consumer.ack_floor.stream_seq >= place


def _header(camera: CameraSpec, seq: int, frame: Encoded) -> FrameHeader:
    return FrameHeader(
        run=LIVE,
        store=camera.store,
        camera=camera.camera,
        session="bench",
        seq=seq,
        previous=seq - 1 if seq else None,
        captured_at=to_ns(NOON) + seq * 100_000_000,
        width=frame.width,
        height=frame.height,
        spec_revision=1,
        policy=camera.policy,
    )


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--crossings", type=int, default=10_000)
    options = parser.parse_args()
    models = [NO_INFERENCE, "motion", *(["person-detection-0200"] if "METRICA_MODELS" in os.environ else [])]
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(
            Path(folder),
            replicas={Owner.INGEST: 0, Owner.API: 0},
            environment={"METRICA_BACKENDS": BACKENDS, "METRICA_THREADS": "1"},
            restart=False,
        )
        stack.start_servers()
        try:
            async with connected(settings_of(stack), everything=True) as bus:
                await asyncio.to_thread(stack.start_services)
                bench, image = Bench(stack, bus, options.frames), picture()
                await bench.ingest(image)
                for model in models:
                    await bench.detector(model, encode(image, Capture()))
                await bench.tracker()
                await bench.persistence(options.crossings)
        finally:
            await asyncio.to_thread(stack.stop)


if __name__ == "__main__":
    asyncio.run(main())
