"""A small application behind the guarded server of every service, and raw connections to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send

from services.kit.http.limits import Limits
from services.kit.http.server import Server
from services.kit.settings import ServiceSettings

PATIENCE = 20.0
"""Seconds that something may take on a machine with much else to do."""
QUICK = Limits(head_seconds=0.6, body_seconds=0.9, stall_seconds=0.9, keep_alive_seconds=1)
"""Limits that a test can wait for; their proportions are those of a service."""
SMALL = 1 << 12
PIECE = b"x" * 65536


@dataclass
class Site:
    """The running server, and what its application has seen."""

    server: Server
    port: int
    scopes: list[Any] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the endless answer of `/endless` or `/quiet` has ended."""

    async def connect(self, source: str = "127.0.0.1", window: int | None = None) -> Client:
        """A raw connection, from an address of this machine, that takes `window` bytes before it is read."""
        raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        raw.setblocking(False)
        if window is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        raw.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.port))
        return Client(*await asyncio.open_connection(sock=raw, limit=1024))

    async def get(self, path: str = "/", source: str = "127.0.0.1", headers: str = "") -> bytes:
        """The whole answer to an ordinary request on a connection of its own."""
        client = await self.connect(source)
        client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n".encode())
        return await client.rest()


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        """Send, without waiting."""
        with contextlib.suppress(OSError):
            self.writer.write(data)

    async def rest(self) -> bytes:
        """All that comes until the server ends the connection."""
        read = bytearray()
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(OSError):
                while data := await self.reader.read(65536):
                    read += data
        self.writer.close()
        return bytes(read)

    async def head(self) -> bytes:
        """The status line and headers of the next answer."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def drip(self, data: bytes, seconds: float = 0.05) -> bytes:
        """Send byte after byte until the server has enough; what it answered."""

        async def send() -> None:
            with contextlib.suppress(OSError):
                for byte in data:
                    self.writer.write(bytes([byte]))
                    await asyncio.sleep(seconds)

        sending = asyncio.create_task(send())
        try:
            return await self.rest()
        finally:
            sending.cancel()


@asynccontextmanager
async def site(limits: Limits = QUICK, **said: object) -> AsyncIterator[Site]:
    """Serve `/` (at once), `/echo` (after the body), `/endless`, `/quiet` (an open answer) and `/large` (4 MB)."""
    found: Site

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        found.scopes.append(scope)
        await _answer(found, scope, receive, send)

    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        listener.bind(("127.0.0.1", 0))
        server = Server(app, ServiceSettings.model_validate(said), limits, grace=1)
        found = Site(server, listener.getsockname()[1])
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with asyncio.timeout(PATIENCE):
                while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
                    await asyncio.sleep(0.01)
            yield found
        finally:
            server.should_exit = True
            await running


async def _answer(found: Site, scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"]
    if path == "/echo":
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                break
        await _send(send, body)
    elif path in {"/endless", "/quiet"}:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun\n", "more_body": True})
            gone = asyncio.ensure_future(_gone(receive))
            while not gone.done():
                if path == "/endless":
                    await send({"type": "http.response.body", "body": PIECE, "more_body": True})
                await asyncio.sleep(0.005)
        finally:
            found.ended.set()
    elif path == "/large":
        await _send(send, PIECE * 64)
    else:
        await _send(send, b"here\n")


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    for _ in range(2):
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
