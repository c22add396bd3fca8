"""A stretch of network between ingest and a real RTSP camera: it bends the camera's clock, or adds TLS."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from services.ingest.egress.heads import Wire

Bend = Callable[[int], int]
"""Makes of the ticks that an RTP packet says those that it says to ingest; the last 32 bits of them count."""
_DAY = 86400.0
_INTERLEAVED = 0x24
_REPORT = 200


@contextmanager
def between(address: str, bend: Bend | None = None, certificate: Path | None = None) -> Iterator[str]:
    """Lead one caller after the other to a camera until the context is left; the new address is handed over.

    Args:
        address: `rtsp://127.0.0.1:…`.
        bend: changes the times of video packets, and has the times in their statistics (RTCP) left out.
        certificate: with its key: callers are spoken to in TLS.
    """
    parts = urlsplit(address)
    listener = socket.create_server(("127.0.0.1", 0))
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    opened: list[socket.socket] = [listener]

    def lead(caller: socket.socket) -> None:
        with suppress(OSError, EOFError):
            if context is not None:
                caller = context.wrap_socket(caller, server_side=True)
                opened.append(caller)
            camera = socket.create_connection(("127.0.0.1", parts.port or 554))
            opened.append(camera)
            threading.Thread(target=_copy, args=(caller, camera), daemon=True).start()
            _answer(camera, caller, bend)

    def accept() -> None:
        with suppress(OSError):
            while True:
                caller, _ = listener.accept()
                opened.append(caller)
                threading.Thread(target=lead, args=(caller,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        scheme = "rtsp" if certificate is None else "rtsps"
        yield parts._replace(scheme=scheme, netloc=f"127.0.0.1:{listener.getsockname()[1]}").geturl()
    finally:
        for one in opened:
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)
            one.close()
        thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    for one in (source, target):
        with suppress(OSError):
            socket.socket.shutdown(one, socket.SHUT_RDWR)


def _answer(camera: socket.socket, caller: socket.socket, bend: Bend | None) -> None:
    if bend is None:
        _copy(camera, caller)
        return
    wire = Wire(camera, time.monotonic() + _DAY)
    while True:
        if wire.peek() != _INTERLEAVED:
            head = wire.head()
            caller.sendall(head.encode() + wire.exactly(head.length))
            continue
        start = wire.exactly(4)
        packet = bytearray(wire.exactly(int.from_bytes(start[2:])))
        if start[1] % 2:
            packet = _without_times(packet)
        else:
            packet[4:8] = (bend(int.from_bytes(packet[4:8])) % 2**32).to_bytes(4)
        caller.sendall(start[:2] + len(packet).to_bytes(2) + packet)


def _without_times(statistics: bytearray) -> bytearray:
    """RTCP packets but for the reports that tell the camera's clock (RFC 3550, 6.4.1): names, and the end."""
    kept, at = bytearray(), 0
    while at + 4 <= len(statistics):
        end = at + 4 * (1 + int.from_bytes(statistics[at + 2 : at + 4]))
        if statistics[at + 1] != _REPORT:
            kept += statistics[at:end]
        at = end
    return kept
