"""The HTTP server of a service: uvicorn, with limits on its clients."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from typing import Any

import uvicorn

from services.kit.http.descriptors import CalmErrors, most_connections, raise_limit
from services.kit.http.limits import Guard, Limits
from services.kit.http.protocol import TICKS, guarded
from services.kit.http.proxies import ForwardedHeaders
from services.kit.settings import ServiceSettings

GRACE_SECONDS = 5


class Server(uvicorn.Server):
    """A server that enforces limits on its connections.

    Args:
        app: an ASGI application.
        settings: its address, its trusted proxies, and its most connections.
        limits: in place of the settings', for tests.
        grace: seconds that running requests have to end after the signal to stop.
    """

    def __init__(
        self, app: object, settings: ServiceSettings, limits: Limits | None = None, grace: int = GRACE_SECONDS
    ) -> None:
        proxies = settings.proxies
        self.guard = Guard(limits or limits_of(settings))
        config = uvicorn.Config(
            ForwardedHeaders(app, proxies),  # type: ignore[arg-type]  # FastStream's and FastAPI's are both ASGI
            host=settings.host,
            port=settings.port,
            http=guarded(self.guard, proxies),
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=self.guard.limits.keep_alive_seconds,
            timeout_graceful_shutdown=grace,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and check the limits from then on."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(CalmErrors())
        await super().startup(sockets)
        limits = self.guard.limits
        interval = min(1.0, limits.head_seconds / TICKS, limits.body_seconds / TICKS, limits.stall_seconds / TICKS)
        self._checking = loop.create_task(self._check(interval), name="http limits")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; the limits hold to the end, so that no slow client delays it."""
        try:
            await super().shutdown(sockets)
        finally:
            self._checking.cancel()

    async def _check(self, interval: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(interval)
            self.guard.check(loop.time())


def limits_of(settings: ServiceSettings) -> Limits:
    """The limits by the settings and by the file descriptors that this process may open."""
    raise_limit()
    total = most_connections(settings.max_connections)
    return replace(Limits(), per_address=min(settings.max_connections_per_address, total), total=total)


def run_http(app: Any, settings: ServiceSettings) -> None:  # noqa: ANN401  # FastStream's and FastAPI's are both ASGI
    """Serve an ASGI application until SIGTERM or SIGINT."""
    Server(app, settings).run()
