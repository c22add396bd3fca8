"""The connections of one source, common to all protocols."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TypeVar

from services.ingest.source import SourceError

MOST_WITHOUT_A_FRAME = 64 * 1024 * 1024
"""Most bytes that may come without a frame: a frame that never ends would fill the memory."""


_S = TypeVar("_S", bound=socket.socket)


class Exhausted(Exception):
    """The camera sent more than any camera needs for a frame."""


class Connections:
    """The open connections of a source. `close` ends them, also during a read or a write.

    Attributes:
        name: of the source, for display.
        failure: the reason why a connection or a request failed; FFmpeg's own error says less.
        status: of the camera's last answer.
        unanswered: the RTSP method that the camera has not answered yet; empty where there is none.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure: SourceError | None = None
        self.status: int | None = None
        self.unanswered = ""
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._since_frame = 0

    def frame_came(self) -> None:
        """Note that a frame came; the limits apply anew until the next one."""
        self._since_frame = 0

    def wait_at_most(self, seconds: float) -> None:
        """Limit the time of the reads from now on, where FFmpeg does not."""

    def close(self) -> None:
        """End every connection at once. Safe from any thread."""
        with self._lock:
            self._closed = True
            connections = list(self._open)
            self._open.clear()
        for connection in connections:
            _hang_up(connection)

    def keep(self, connection: _S) -> _S:
        """Register a connection to be ended by `close`.

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
            Exhausted: too many came without a frame.
        """
        self._since_frame += received
        if self._since_frame > MOST_WITHOUT_A_FRAME:
            raise Exhausted


def _hang_up(connection: socket.socket) -> None:
    # Only a shutdown wakes up a thread that reads from it. It is the socket's own: TLS would ask the other side first.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    with suppress(OSError):
        connection.close()
