"""Cost of JetStream's more frequent syncing to the disk: `python -m tests.bench.bench_sync`.

A server for each setting, all on the same disk, take turns in every round. Told are the medians of the rounds: messages
a second, by the first server's, and for what is written one after another the time that 99 of 100 take.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from nats.js.kv import KeyValue

from contracts.streams import CHECKPOINTS, Owner
from contracts.subjects import detections
from infra.local.processes.nats import DEVELOPER, NatsServer
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings

SETTINGS = ("2m", "10s", "1s", "always")
"""nats-server's own default first."""
ROUNDS, SECONDS = 24, 0.25
EVENT, FRAME, CHECKPOINT = bytes(470), bytes(60_000), bytes(3_000)
SUBJECT = detections("live", "store", "camera")

Write = Callable[[], Awaitable[object]]


async def written(write: Write, at_once: int) -> tuple[float, float]:
    """Writes per second, so many at once, and the 99th percentile of one's time in ms."""
    times: list[float] = []
    began = time.perf_counter()

    async def go_on() -> None:
        while (start := time.perf_counter()) - began < SECONDS:
            await write()
            times.append(time.perf_counter() - start)

    await asyncio.gather(*(go_on() for _ in range(at_once)))
    return len(times) / (time.perf_counter() - began), 1e3 * statistics.quantiles(times, n=100)[98]


def cases(bus: Bus, checkpoints: KeyValue) -> dict[str, tuple[Write, int]]:
    """The writes by name, each with the number of them at once."""
    return {
        "events of 470 bytes, 64 at once": (lambda: bus.try_publish(SUBJECT, EVENT), 64),
        "events of 470 bytes, one by one": (lambda: bus.try_publish(SUBJECT, EVENT), 1),
        "frames of 60 KB, 8 at once": (lambda: bus.try_publish(SUBJECT, FRAME), 8),
        "checkpoints of 3 KB, one by one": (lambda: checkpoints.put("live.0.camera", CHECKPOINT), 1),
        "checkpoints of 3 KB, 16 cameras": (lambda: checkpoints.put("live.0.camera", CHECKPOINT), 16),
    }


async def main() -> None:
    """Measure and print."""
    found: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        buses: dict[str, Bus] = {}
        for setting in SETTINGS:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server = stack.enter_context(NatsServer(folder, jetstream={"sync_interval": setting}))
            buses[setting] = await Bus(_settings(server), "bench", Owner.DETECTOR).start()
            stack.push_async_callback(buses[setting].stop)
            await buses[setting].js.create_key_value(bucket=CHECKPOINTS.name)
        for number in range(ROUNDS):
            for setting in sorted(SETTINGS, key=lambda one: (SETTINGS.index(one) + number) % len(SETTINGS)):
                bus = buses[setting]
                for name, (write, at_once) in cases(bus, await bus.bucket(CHECKPOINTS)).items():
                    found[name, setting].append(await written(write, at_once))
    _print(found)


def _settings(server: NatsServer) -> ServiceSettings:
    known = {"nats_url": server.url, "nats_user": DEVELOPER, "nats_password": server.passwords[DEVELOPER]}
    return ServiceSettings.model_validate(known)


def _print(found: dict[tuple[str, str], list[tuple[float, float]]]) -> None:
    print(f"{'':34}" + "".join(f"{setting:>24}" for setting in SETTINGS))
    for name in dict.fromkeys(name for name, _ in found):
        cells = []
        for setting in SETTINGS:
            rates, slowest = zip(*found[name, setting], strict=True)
            first = statistics.median(rate for rate, _ in found[name, SETTINGS[0]])
            rate = statistics.median(rates)
            cells.append(f"{rate:8,.0f}/s {rate / first:4.2f} {statistics.median(slowest):5.1f} ms")
        print(f"{name:34}" + "".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    asyncio.run(main())
