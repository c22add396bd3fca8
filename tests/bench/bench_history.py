"""Duration of questions about history, and speed of its export: `python -m tests.bench.bench_history`.

    python -m tests.bench.bench_history --scale 0.05                         # a database of its own, then gone
    python -m tests.bench.bench_history --folder ~/history --scale 1         # kept there, and used the next time

Each question goes through the API in this process, to a real Postgres with its defaults, for a shop drawn at random.
Scale 1 is 200 shops and about 50 million crossings; it takes 16 GB of disk.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import statistics
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import uvicorn

from infra.local.ports import free_port
from infra.local.processes.postgres import API, PERSISTENCE, ROLES, PostgresServer
from services.api.app import create_app
from services.api.settings import ApiSettings
from services.cli.commands.seed import ORGANIZATION, seed_of
from services.persistence.demo.seed import AlreadyThere, seed_history
from services.persistence.migrate import upgrade
from tests.api.asked import asking
from tests.api.served import BROWSER

ROUNDS = 150
EXPORTS = 3
WARM_UP = 10


def questions(today: date) -> dict[str, tuple[str, dict[str, str]]]:
    """The questions, by name; `{shop}` is one of them."""
    monday, month = today - timedelta(days=today.weekday()), today.replace(day=1)
    month_end = (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    this = {
        "today": (today, today, "hour"),
        "this week": (monday, monday + timedelta(days=6), "day"),
        "this month": (month, month_end, "day"),
        "this year": (date(today.year, 1, 1), date(today.year, 12, 31), "month"),
        "this year by day": (date(today.year, 1, 1), date(today.year, 12, 31), "day"),
    }
    shop, chain = "/v1/stores/{shop}/footfall", f"/v1/organizations/{ORGANIZATION}/footfall"
    asked: dict[str, tuple[str, dict[str, str]]] = {}
    for name, (first, last, bucket) in this.items():
        period = {"from": str(first), "to": str(last), "bucket": bucket}
        for against in ("previous", "weekday", "year", "typical"):
            asked[f"a shop, {name}, and {against}"] = shop, period | {"compare": against}
        asked[f"a shop, {name}, its peak, and previous"] = shop, period | {"compare": "previous", "peak": "true"}
        if name in {"today", "this month"}:
            asked[f"all shops, {name}"] = chain, period
            asked[f"all shops, {name}, and previous"] = chain, period | {"compare": "previous"}
            asked[f"all shops, {name}, by store"] = chain, period | {"by": "store", "bucket": "day"}
        if name in {"this month", "this year"}:
            asked[f"a shop, {name}, in opening hours"] = shop, period | {"compare": "previous", "open_only": "true"}
    quarter = {"from": str(today - timedelta(days=91)), "to": str(today)}
    asked["a shop, profile of 13 weeks"] = "/v1/stores/{shop}/profile", quarter
    asked["a shop, crossings of today"] = "/v1/stores/{shop}/crossings", {}
    asked["a shop, occupancy today"] = "/v1/stores/{shop}/occupancy", {}
    return asked


async def measure(client: httpx.AsyncClient, url: str, query: dict[str, str], shops: list[str]) -> list[float]:
    """Milliseconds of each round, in order of size."""
    rng, times = random.Random(1), []
    for n in range(WARM_UP + ROUNDS):
        address = url.format(shop=rng.choice(shops))
        began = time.perf_counter()
        answer = await client.get(address, params=query)
        taken = (time.perf_counter() - began) * 1000
        assert answer.status_code == 200, answer.text
        if n >= WARM_UP:
            times.append(taken)
    return sorted(times)


async def export(database_url: str, now: datetime, shops: list[str]) -> None:
    """Stream shops' crossings through the API over HTTP, one after another, and print how fast, and what it took."""
    app = create_app(ApiSettings.model_validate({"database_url": database_url, "local_access": "viewer"}), lambda: now)
    server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_config=None, lifespan="off"))
    running = asyncio.create_task(server.serve())
    period = {"from": str(now.date() - timedelta(days=3 * 365)), "to": str(now.date())}
    async with httpx.AsyncClient(
        base_url=f"http://localhost:{server.config.port}", timeout=60, headers=BROWSER
    ) as client:
        while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.01)
        for n, shop in enumerate(shops):
            began, used, memory = time.perf_counter(), time.process_time(), peak_memory()
            lines = size = 0
            async with client.stream("GET", f"/v1/stores/{shop}/crossings.csv", params=period) as answer:
                assert answer.status_code == 200, await answer.aread()
                async for piece in answer.aiter_bytes():
                    lines, size = lines + piece.count(b"\n"), size + len(piece)
            wall, cpu = time.perf_counter() - began, time.process_time() - used
            print(
                f"export {n + 1}: {lines:,} crossings, {size / 2**20:.0f} MiB, {lines / wall:,.0f} rows/s; "
                f"{cpu / wall:.0%} of a core here; memory + {peak_memory() - memory:.1f} MiB"
            )
    server.should_exit = True
    await running


def peak_memory() -> float:
    """The most memory that this process ever had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def main(folder: Path, scale: float, only: str) -> None:
    """Measure and print."""
    with PostgresServer(folder, dict.fromkeys(ROLES, "bench")) as server:
        await upgrade(server.url(PERSISTENCE))
        seed, began = seed_of(scale, years=3, chance=7, now=datetime.now(UTC)), time.monotonic()
        try:
            rows = await seed_history(server.url(PERSISTENCE), seed, workers=2)
            print(f"{len(seed.shops)} shops, {rows:,} crossings, seeded in {time.monotonic() - began:.0f} s")
        except AlreadyThere:
            print("the folder is seeded already")
        connection = await asyncpg.connect(server.url(PERSISTENCE))
        await connection.execute("VACUUM ANALYZE")  # as autovacuum has done it by the next day
        shops = [row["id"] for row in await connection.fetch("SELECT id FROM store ORDER BY id")]
        now = await connection.fetchval("SELECT max(last_at) FROM store_version")
        await connection.close()
        async with asking(server.url(API), lambda: now) as client:
            print(f"{'ms':40}{'p50':>8}{'p95':>8}{'max':>8}")
            for name, (url, query) in questions(now.date()).items():
                if only not in name:
                    continue
                times = await measure(client, url, query, shops)
                p95 = times[int(0.95 * len(times))]
                print(f"{name:40}{statistics.median(times):8.1f}{p95:8.1f}{times[-1]:8.1f}", flush=True)
        await export(server.url(API), now, shops[:EXPORTS])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure questions about history.")
    parser.add_argument("--folder", type=Path, help="where the database lies, and stays")
    parser.add_argument("--only", default="", help="questions whose name holds this")
    parser.add_argument("--scale", type=float, default=0.02, help="1 is 200 shops")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(arguments.folder or Path(temporary), arguments.scale, arguments.only))
