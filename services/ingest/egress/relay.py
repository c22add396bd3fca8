"""A door of Metrica's own on loopback, through which FFmpeg reaches one source and nothing else.

FFmpeg is told the door's address, and neither resolves names nor connects anywhere by itself. What it asks for is
dialled here, by the rule for the source; then bytes are copied.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

from services.ingest.sources import SourceError, SourceLost

BUFFER = 256 * 1024
MOST_WITHOUT_A_FRAME = 64 * 1024 * 1024
"""Bytes that may come before a frame does: one that is never finished would fill the memory otherwise."""


class Exhausted(Exception):
    """More was sent, or asked for, than any camera needs for its next frame."""


class Relay:
    """What doors of every protocol have in common: a listener, connections that `close` ends, and a bound.

    Attributes:
        failure: why FFmpeg's last wish could not be fulfilled; what it says itself is less.
        status: of the camera's last answer.
    """

    def __init__(self, name: str) -> None:
        """Open a door for the source of this name."""
        self.name = name
        self.failure: SourceError | None = None
        self.status: int | None = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = {self._listener}
        self._closed = False
        self._since_frame = 0

    @property
    def port(self) -> int:
        """The door's port on 127.0.0.1."""
        return int(self._listener.getsockname()[1])

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def frame_came(self) -> None:
        """Count anew what is sent until the next one."""
        self._since_frame = 0

    def close(self) -> None:
        """End every connection at once, whatever is under way on it. Safe from any thread."""
        with self._lock:
            self._closed = True
            connections = list(self._open)
            self._open.clear()
        for connection in connections:
            _hang_up(connection)

    def begin(self, work: Callable[[], None], name: str) -> None:
        """Run work beside the reader's thread; it ends with the connections it waits for."""

        def body() -> None:
            # The other side may go away at any time, and `close` takes connections away: that is an end, no error.
            with suppress(OSError, EOFError):
                try:
                    work()
                except Exhausted:
                    self.failure = SourceLost(f"{self.name} sends more than a picture takes, and no picture")

        threading.Thread(target=body, daemon=True, name=name).start()

    def keep(self, connection: socket.socket) -> socket.socket:
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

    def copy(
        self, reader: socket.socket, camera: socket.socket, look: Callable[[memoryview], None] | None = None
    ) -> None:
        """Hand over bytes until one side closes: in both directions, or only the camera's where they are looked at.

        Args:
            reader: FFmpeg's side.
            camera: the other.
            look: gets what the camera sends first; the reader may say nothing then.

        Raises:
            OSError: a connection broke, or was closed.
            Exhausted: too much came without a frame.
        """
        # One buffer, filled and emptied in turns: where the reader does not take, the camera is not read.
        buffer = memoryview(bytearray(BUFFER))
        for connection in (reader, camera):
            connection.settimeout(None)
        poll = select.poll()
        for connection in (reader, camera):
            poll.register(connection, select.POLLIN)
        camera_at = camera.fileno()
        answered = False
        while True:
            if isinstance(camera, ssl.SSLSocket) and camera.pending():
                ready = [camera_at]
            else:
                ready = [descriptor for descriptor, _ in poll.poll()]
            for descriptor in ready:
                source, target = (camera, reader) if descriptor == camera_at else (reader, camera)
                count = source.recv_into(buffer)
                if not count or (look and source is reader):
                    return
                if source is camera:
                    self.count(count)
                    if look and not answered:
                        look(buffer[:count])
                    answered = True
                target.sendall(buffer[:count])


def _hang_up(connection: socket.socket) -> None:
    # A thread may wait in it: only a shutdown wakes that one up. The plain one, as TLS would ask the other side first.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    with suppress(OSError):
        connection.close()
