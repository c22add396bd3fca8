"""Running a service: logs, NATS, health and metrics around its work, and an orderly end on SIGTERM.

`/livez` answers while the event loop turns; `/readyz` makes a round trip through JetStream to every stream the service
uses; `/metrics` is for Prometheus.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from faststream.asgi import AsgiFastStream, AsgiResponse, get
from nats.errors import Error as NatsError
from prometheus_client import make_asgi_app

from contracts.streams import Owner
from services.kit.http.local import Inside, may_look_inside
from services.kit.http.proxies import Scope
from services.kit.http.server import run_http
from services.kit.logs import configure, logger
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from services.kit.tasks import cancel_and_wait

READY_TIMEOUT = 2.0
Check = Callable[[], Awaitable[None]]
"""A readiness check: raises where it fails; the message is shown at /readyz."""

log = logger()


@dataclass
class Health:
    """Readiness of a service: NATS, the streams that it uses, its permissions, and checks of its own."""

    bus: Bus
    streams: Sequence[str]
    checks: dict[str, Check] = field(default_factory=dict)

    async def problems(self) -> dict[str, str]:
        """Failed checks by name, each with its message; empty when the service can work."""
        problems: dict[str, str] = {}
        for name, check in {"jetstream": self._jetstream, "permissions": self._permitted, **self.checks}.items():
            try:
                async with asyncio.timeout(READY_TIMEOUT):
                    await check()
            except (NatsError, TimeoutError, OSError, RuntimeError) as error:
                problems[name] = str(error) or type(error).__name__
        return problems

    async def _jetstream(self) -> None:
        if self.bus.problem is not None:
            raise RuntimeError(self.bus.problem)
        for stream in self.streams:
            await self.bus.js.stream_info(stream)

    async def _permitted(self) -> None:
        if refused := self.bus.refusals.present:
            raise RuntimeError(f"NATS does not let the user {self.bus.user} {', '.join(refused)}")


def in_lines(problems: Mapping[str, str], *, inside: bool) -> str:
    """The body of /readyz. Clients from outside (`inside=False`) see only ready or not, without names and messages."""
    if not problems:
        return "ready\n"
    return "".join(f"{name}: {problem}\n" for name, problem in problems.items()) if inside else "not ready\n"


class ServiceWork:
    """A service's work beside its HTTP server. If the work fails, the process exits, to be started again."""

    def __init__(self, work: Callable[[], Awaitable[None]], bus: Bus) -> None:
        self._work, self._bus = work, bus
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, declare the service's streams and buckets, and work: in a task, so this returns at once."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="work")
        self._task.add_done_callback(_end_process_on_failure)

    async def stop(self) -> None:
        """Cancel the work and wait for its end; the connection stays open."""
        self._bus.leaving()
        if self._task is not None:
            await cancel_and_wait(self._task)
            log.info("stopped")

    async def _run(self) -> None:
        started = time.monotonic()
        await self._bus.start()
        log.info("started", after=round(time.monotonic() - started, 3))
        await self._work()


def _end_process_on_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("the service cannot go on", error=repr(error), exc_info=error)
        os._exit(1)  # nothing is lost: messages that were not acked are redelivered


@asynccontextmanager
async def working(work: Callable[[], Awaitable[None]], bus: Bus) -> AsyncIterator[None]:
    """Work and a connection for as long as the context lasts: for FastAPI's lifespan."""
    running = ServiceWork(work, bus)
    await running.start()
    try:
        yield
    finally:
        await running.stop()
        await bus.stop()


def serve(
    owner: Owner, settings: ServiceSettings, work: Callable[[Bus, Health], Awaitable[None]], streams: Sequence[str]
) -> None:
    """Run a service until SIGTERM or SIGINT.

    Args:
        owner: the service.
        settings: its settings.
        work: runs until it is cancelled, and then ends in order.
        streams: the streams that `/readyz` asks for.
    """
    configure(owner, settings)
    bus = Bus(settings, owner, owner)
    health = Health(bus, streams)
    running = ServiceWork(lambda: work(bus, health), bus)

    @get
    async def livez(_scope: object) -> AsgiResponse:
        return AsgiResponse(b"alive\n", 200)

    @get
    async def readyz(scope: Scope) -> AsgiResponse:
        problems = await health.problems()
        body = in_lines(problems, inside=may_look_inside(scope, settings.metrics_secret))
        return AsgiResponse(body.encode(), 503 if problems else 200)

    metrics = Inside(make_asgi_app(), settings.metrics_secret)
    app = AsgiFastStream(
        bus.broker,
        logger=None,
        after_startup=[running.start],  # the broker is connected by then
        on_shutdown=[running.stop],  # and still is
        asgi_routes=[("/livez", livez), ("/readyz", readyz), ("/metrics", metrics)],
    )
    run_http(app, settings)
