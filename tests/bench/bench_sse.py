"""Compares HTTP servers on live streams: python -m tests.bench.bench_sse [--checkout FOLDER] [--clients 2000].

One process serves an endless stream of server-sent events to every client: 5 a second of about 500 bytes, sent as the
API sends them (sse-starlette, one message for all). Clients run in a process of their own and note how late each event
comes. Measured are the delay (p50, p99), CPU of the serving process, and its memory.

`--checkout` adds the server of another checkout in the same run: what its `services.kit` serves with, before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from infra.local.ports import free_port

HERE = Path(__file__).parents[2]
RATE, SIZE = 5.0, 500
WARM_UP = 3.0
MOST_OPEN = 20_000

GUARDED = """
from services.kit.http.limits import Limits
from services.kit.http.server import Server
from services.kit.settings import ServiceSettings
settings = ServiceSettings(port=PORT)
Server(app, settings, Limits(per_address=100_000, total=100_000)).run()
"""
BEFORE = """
from services.kit.service import run_http
from services.kit.settings import ServiceSettings
run_http(app, ServiceSettings(port=PORT))
"""
UVICORN = "import uvicorn; uvicorn.run(app, port=PORT, log_config=None, access_log=False)"
GRANIAN = """
import granian
from granian.constants import Interfaces
granian.Granian("tests.bench.bench_sse:app", port=PORT, interface=Interfaces.ASGI, log_enabled=False).serve()
"""
HYPERCORN = """
import asyncio
from hypercorn.asyncio import serve
from hypercorn.config import Config
config = Config()
config.bind = [f"127.0.0.1:{PORT}"]
config.backlog = 2048
asyncio.run(serve(app, config))
"""


class Events:
    """Events of one source for all who listen: only the newest waits for a slow one."""

    def __init__(self) -> None:
        self._newest = b""
        self._turn = asyncio.Event()
        self._source: asyncio.Task[None] | None = None

    async def listen(self) -> AsyncIterator[bytes]:
        """The events of one client."""
        if self._source is None:
            self._source = asyncio.create_task(self._make())
        while True:
            await self._turn.wait()
            yield self._newest

    async def _make(self) -> None:
        while True:
            await asyncio.sleep(1 / RATE)
            body = json.dumps({"at": time.time(), "fill": ""})
            body = json.dumps({"at": time.time(), "fill": "x" * (SIZE - len(body))})
            self._newest = f"event: counts\ndata: {body}\n\n".encode()
            turn, self._turn = self._turn, asyncio.Event()
            turn.set()


_events = Events()


async def _stream(_request: Request) -> EventSourceResponse:
    return EventSourceResponse(_events.listen(), ping=15, send_timeout=30)


app = Starlette(routes=[Route("/events", _stream)])


@dataclass(frozen=True)
class Result:
    """The results of one server."""

    name: str
    opened: int
    delays: list[float]
    cpu: float
    memory: float

    def line(self, clients: int, seconds: float) -> str:
        """For the table."""
        delays = sorted(self.delays) or [0.0]
        p50, p99 = (1000 * delays[int(part * (len(delays) - 1))] for part in (0.5, 0.99))
        part = len(self.delays) / max(1.0, self.opened * RATE * seconds)
        cells = f"{self.opened} of {clients}", f"{p50:.0f}", f"{p99:.0f}", f"{self.cpu:.0%}", f"{self.memory:.0f}"
        return f"| {' | '.join([self.name, *cells, f'{part:.0%}'])} |"


async def _be_clients(port: int, clients: int, seconds: float) -> None:
    """Open the streams, and print how many there are and each delay, as JSON."""
    delays: list[float] = []
    begin = asyncio.Event()
    opened = 0

    async def follow(reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if line.startswith(b"data: ") and begin.is_set():
                delays.append(time.time() - json.loads(line[6:])["at"])

    tasks, writers = [], []
    for number in range(clients):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
            if b" 200 " not in await asyncio.wait_for(reader.readline(), 20):
                continue
        except (OSError, TimeoutError):
            continue
        opened += 1
        writers.append(writer)
        tasks.append(asyncio.create_task(follow(reader)))
        if number % 50 == 0:
            await asyncio.sleep(0.05)
    await asyncio.sleep(WARM_UP)
    print("warm", flush=True)
    begin.set()
    await asyncio.sleep(seconds)
    begin.clear()
    print(json.dumps({"opened": opened, "delays": delays}), flush=True)
    for task in tasks:
        task.cancel()


def measure(name: str, checkout: Path, code: str, clients: int, seconds: float) -> Result:
    """Serve in one process, listen in another, and compare their clocks: there is one machine, and one clock."""
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    # This very module in either checkout, whose own `services` it then finds.
    script = (
        f"import importlib.util as u, sys\nPORT = {port}\n"
        f"spec = u.spec_from_file_location('tests.bench.bench_sse', {__file__!r})\n"
        "bench = u.module_from_spec(spec); sys.modules[spec.name] = bench; spec.loader.exec_module(bench)\n"
        f"app = bench.app\n{code}"
    )
    serving = subprocess.Popen([sys.executable, "-c", script], env=environment, cwd=checkout)
    try:
        _await_port(port)
        watched = _worker(serving.pid)
        listening = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bench_sse", "--be-clients", f"{port}", f"{clients}", f"{seconds}"],
            env={**os.environ, "PYTHONPATH": str(HERE)},
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
        )
        assert listening.stdout is not None
        listening.stdout.readline()
        before = watched.cpu_times()
        told = json.loads(listening.stdout.readline())
        after = watched.cpu_times()
        listening.wait()
        used = after.user + after.system - before.user - before.system
        memory = watched.memory_full_info().uss / 2**20
    finally:
        serving.terminate()
        try:
            serving.wait(20)
        except subprocess.TimeoutExpired:
            serving.kill()
    return Result(name, told["opened"], told["delays"], used / seconds, memory)


def _worker(pid: int) -> psutil.Process:
    """The process that serves: granian starts one of its own."""
    parent = psutil.Process(pid)
    return max([parent, *parent.children()], key=lambda one: one.num_threads() if one.pid != pid else 0)


def _await_port(port: int) -> None:
    import socket

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            time.sleep(0.5)
            return
    raise SystemExit("the server did not start")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, help="another checkout, measured beside this one")
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--only", nargs="*", help="names of servers")
    parser.add_argument("--be-clients", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard > 0 else MOST_OPEN, hard))
    if asked.be_clients:
        port, clients, seconds = asked.be_clients
        asyncio.run(_be_clients(int(port), int(clients), float(seconds)))
        return
    servers = [
        ("uvicorn and guard", HERE, GUARDED),
        ("uvicorn", HERE, UVICORN),
        ("granian", HERE, GRANIAN),
        ("hypercorn", HERE, HYPERCORN),
    ]
    if asked.checkout is not None:
        servers.insert(1, (f"checkout {asked.checkout.name}", asked.checkout.resolve(), BEFORE))
    print(f"{asked.clients} clients, {RATE:g} events/s of {SIZE} bytes, {asked.seconds:g} s")
    print(
        "| server | streams | p50 ms | p99 ms | CPU | memory MB | part of the events |\n|---|---|---|---|---|---|---|"
    )
    for name, checkout, code in servers:
        if not asked.only or name.split()[0] in asked.only:
            print(
                measure(name, checkout, code, asked.clients, asked.seconds).line(asked.clients, asked.seconds),
                flush=True,
            )


if __name__ == "__main__":
    main()
