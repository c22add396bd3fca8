"""Crossings per second that the writer commits, by the size of its batches: `python -m tests.bench.bench_writer`.

A real Postgres with its syncs to disk, two stores of four lines each, crossings through three days. Each round writes
new rows only; the median of the rounds is printed.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from infra.local.processes.postgres import PERSISTENCE, PostgresServer
from services.persistence.app import open_pool
from services.persistence.migrate import upgrade
from services.persistence.writer import Writer
from tests.persistence.builders import crowd

ROUNDS = 5
BATCHES = {10: 40, 100: 20, 500: 10}
"""How many batches of each size make a round."""


async def measure(writer: Writer, size: int, batches: int, seed: int) -> float:
    """Rows per second of one round."""
    events = crowd(size * batches, seed=seed, stores=("north", "south"), span=timedelta(days=3))
    renamed = [event.model_copy(update={"run": f"bench-{size}-{seed}"}) for event in events]
    started = time.perf_counter()
    for start in range(0, len(renamed), size):
        await writer.write(renamed[start : start + size])
    return len(renamed) / (time.perf_counter() - started)


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, PostgresServer(Path(folder)) as server:
        url = server.url(PERSISTENCE)
        await upgrade(url)
        async with open_pool(url) as pool:
            writer = Writer(pool)
            await measure(writer, 100, 5, seed=0)
            for size, batches in BATCHES.items():
                rates = [await measure(writer, size, batches, seed) for seed in range(1, ROUNDS + 1)]
                print(f"{size:4} a batch: {statistics.median(rates):8,.0f} rows/s")


if __name__ == "__main__":
    asyncio.run(main())
