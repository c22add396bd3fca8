"""Bytes sent to a server as they are: what no client library would send."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")


@dataclass(frozen=True, slots=True)
class Told:
    """All that came back before the connection was closed, or fell silent."""

    raw: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        """Of each answer; none where it was hung up without a word."""
        return [int(status) for status in _STATUS.findall(self.raw)]

    @property
    def status(self) -> int:
        """Of the first answer; 0 where there is none."""
        return self.statuses[0] if self.statuses else 0


async def send(port: int, *parts: bytes, silence: float = 2.0) -> Told:
    """Send bytes to a port of this machine, and read until the other side closes or says nothing for so long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    raw, closed = b"", False
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        while not closed:
            async with asyncio.timeout(silence):
                more = await reader.read(65536)
            raw, closed = raw + more, not more
    except (TimeoutError, ConnectionError) as error:
        closed = not isinstance(error, TimeoutError)
    finally:
        writer.close()
    return Told(raw, closed)


def request(target: str | bytes = "/v1/stores", *headers: str | bytes, method: str = "GET", body: bytes = b"") -> bytes:
    """A request of lines as given; without a `Host` among them it has this machine's."""
    lines = [_bytes(header) for header in headers]
    if not any(line.lower().startswith(b"host") for line in lines):
        lines.insert(0, b"Host: localhost")
    return b"\r\n".join(
        [_bytes(method) + b" " + _bytes(target) + b" HTTP/1.1", *lines, b"Connection: close", b"", body]
    )


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
