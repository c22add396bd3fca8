"""Connections to one source: what is the same for every protocol."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TypeVar

from services.ingest.source import SourceError

MOST_WITHOUT_A_FRAME = 64 * 1024 * 1024
"""Bytes that may come before a frame does: one that is never finished would fill the memory otherwise."""


_S = TypeVar("_S", bound=socket.socket)


class Exhausted(Exception):
    """More was sent, or asked for, than any camera needs for its next frame."""


class Connections:
    """The connections that are open for a source: `close` ends them, whatever is under way on them.

    Attributes:
        name: of the source, as people may see it.
        failure: why something that FFmpeg wished could not be had; what it says itself is less.
        status: of the camera's last answer.
        asked: the request that the camera has not answered yet, where requests have names.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure: SourceError | None = None
        self.status: int | None = None
        self.asked = ""
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._since_frame = 0

    def frame_came(self) -> None:
        """Count anew what is sent until the next one."""
        self._since_frame = 0

    def wait_at_most(self, seconds: float) -> None:
        """Bound what is read from now on in time, where FFmpeg does not."""

    def close(self) -> None:
        """End every connection at once. Safe from any thread."""
        with self._lock:
            self._closed = True
            connections = list(self._open)
            self._open.clear()
        for connection in connections:
            _hang_up(connection)

    def keep(self, connection: _S) -> _S:
        """Have a connection ended by `close`.

        Raises:
            OSError: `close` was called.
        """
        with self._lock:
            if self._closed:
                connection.close()
                raise ConnectionAbortedError("the source was closed")
            self._open.add(connection)
        return connection

    def drop(self, connection: socket.socket) -> None:
        """End a connection."""
        with self._lock:
            self._open.discard(connection)
        _hang_up(connection)

    def count(self, received: int) -> None:
        """Count bytes from the camera.

        Raises:
            Exhausted: too many came, and no frame in them.
        """
        self._since_frame += received
        if self._since_frame > MOST_WITHOUT_A_FRAME:
            raise Exhausted


def _hang_up(connection: socket.socket) -> None:
    # A thread may wait in it: only a shutdown wakes that one up. The plain one, as TLS would ask the other side first.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    with suppress(OSError):
        connection.close()
