"""Attacks of one hostile tenant at once: half-open requests, exports that nobody takes, cameras that hang or send
pictures of enormous size, and more live streams than anybody looks at. All from addresses of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager

from services.kit.tasks import cancel_and_wait

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]
SMALL_BUFFER = 4096
"""Bytes that the attacker's kernel takes in: what it does not read stays with the server."""


@contextmanager
def many_descriptors() -> Iterator[None]:
    """Let this process open as many sockets as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Attacker:
    """Holds what it opened until it is closed.

    Args:
        port: of the API, on 127.0.0.1.
        source: the address of this machine that the connections come from.
    """

    def __init__(self, port: int, source: str = "127.0.0.2") -> None:
        self._port, self._source = port, source
        self._open: list[socket.socket] = []

    async def half_open(self, count: int) -> None:
        """Begin requests and never end their heads."""
        await self._send(count, b"GET /v1/stores HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")

    async def untaken(self, count: int, path: str, key: str) -> None:
        """Ask for answers and never read them."""
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        await self._send(count, head)

    def still_open(self) -> int:
        """Connections that the server has not closed."""
        return sum(not _is_closed(one) for one in self._open)

    def close(self) -> None:
        """Hang up on everything."""
        for one in self._open:
            one.close()

    async def _send(self, count: int, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            connection.setblocking(False)
            connection.bind((self._source, 0))
            self._open.append(connection)
            with contextlib.suppress(OSError, TimeoutError):  # refused or reset: that is the server's defence
                async with asyncio.timeout(5):
                    await loop.sock_connect(connection, ("127.0.0.1", self._port))
                    await loop.sock_sendall(connection, request)


def _is_closed(connection: socket.socket) -> bool:
    try:
        while data := connection.recv(1 << 16):
            del data
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@asynccontextmanager
async def silent_camera() -> AsyncIterator[str]:
    """A camera that takes connections and never answers; gives its address."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(1024):
                pass
        writer.close()

    async with _serving(hold) as port:
        yield f"rtsp://127.0.0.1:{port}/stream"


@asynccontextmanager
async def enormous_camera(side: int = 16_000) -> AsyncIterator[str]:
    """An MJPEG camera whose pictures are PNGs of side × side pixels, a few hundred KB each; gives its address."""
    picture = _png(side)
    part = (
        b"--frame\r\nContent-Type: image/png\r\nContent-Length: " + str(len(picture)).encode() + b"\r\n\r\n"
        + picture + b"\r\n"
    )  # fmt: skip

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
            for _ in range(100):
                writer.write(part)
                await writer.drain()
        writer.close()

    async with _serving(send) as port:
        yield f"http://127.0.0.1:{port}/video"


@asynccontextmanager
async def _serving(answer: Answer) -> AsyncIterator[int]:
    running: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(answer(reader, writer))
        running.add(task)
        await asyncio.wait({task})

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            await cancel_and_wait(task)


def _png(side: int) -> bytes:
    """A white RGB picture: nearly nothing to send, and side × side × 3 bytes to unpack."""
    packer = zlib.compressobj(9)
    row = b"\0" + b"\xff" * (3 * side)
    packed = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*one) for one in ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b"")))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
