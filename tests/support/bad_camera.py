"""A camera that does with each caller what a test says, and keeps the line open until it is over."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behaviour = Callable[[socket.socket], None]


@contextmanager
def bad_camera(behave: Behaviour) -> Iterator[int]:
    """Serve until the context is left; the port is handed over. The behaviour ends by an OSError at the latest then."""
    listener = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = [listener]

    def meet(caller: socket.socket) -> None:
        with suppress(OSError):
            behave(caller)

    def accept() -> None:
        with suppress(OSError):
            while True:
                caller, _ = listener.accept()
                opened.append(caller)
                threading.Thread(target=meet, args=(caller,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        for one in opened:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        thread.join()


def silent(_caller: socket.socket) -> None:
    """Take the call and say nothing."""


def saying(data: bytes, *, then: bytes = b"", hang_up: bool = False) -> Behaviour:
    """Hear what is asked, answer, and go on with the same bytes without an end, if there are any."""

    def behave(caller: socket.socket) -> None:
        caller.recv(4096)
        caller.sendall(data)
        while then:
            caller.sendall(then)
        if hang_up:
            caller.shutdown(socket.SHUT_RDWR)

    return behave
