"""The door to HTTP cameras: a forward proxy, so that each redirect, playlist, segment and key is judged like the first.

FFmpeg asks `GET http://camera/…` for plain HTTP, and `CONNECT camera:443` for TLS, which then runs from end to end.
"""

from __future__ import annotations

import os
import re
import socket
import time
from urllib.parse import urlsplit

from services.ingest.egress.dialing import Unreachable, dial
from services.ingest.egress.heads import Head, Malformed, Wire
from services.ingest.egress.policy import Egress
from services.ingest.egress.relay import Relay
from services.ingest.sources import SourceLost

MOST_CONNECTIONS = 100
"""Without a frame: a playlist has a dozen variants at most, each with a segment or two and a key."""
_REQUEST = re.compile(r"(GET|CONNECT) (\S+) HTTP/1\.[01]", re.ASCII)
_STATUS = re.compile(rb"(?:HTTP/\d\.\d|ICY) (\d{3})")
_OF_ONE_HOP = frozenset(
    {"connection", "proxy-connection", "proxy-authorization", "keep-alive", "te", "trailer", "upgrade"}
)
_FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_NO_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def ignore_exceptions() -> None:
    """Take `no_proxy` out of FFmpeg's sight: hosts named there would be connected to directly.

    It reads the small spelling alone. Others, as httpx and urllib, read both: for them it is spelt in capitals.
    """
    exceptions = os.environ.pop("no_proxy", None)
    if exceptions is not None:
        os.environ.setdefault("NO_PROXY", exceptions)


class HttpProxy(Relay):
    """Leads the connections that FFmpeg makes for one source.

    Args:
        name: of the source, for messages.
        egress: what the source may connect to.
        timeout: seconds to connect, and to hear FFmpeg's wish.
    """

    def __init__(self, name: str, egress: Egress, *, timeout: float) -> None:
        super().__init__(name)
        ignore_exceptions()
        self._egress, self._timeout = egress, timeout
        self._connections = 0
        self.begin(self._listen, "http proxy")

    @property
    def url(self) -> str:
        """The proxy's address, as FFmpeg's option `http_proxy` takes it."""
        return f"http://127.0.0.1:{self.port}"

    def frame_came(self) -> None:
        """Count anew what is sent, and connected to, until the next one."""
        super().frame_came()
        self._connections = 0

    def _listen(self) -> None:
        while True:
            accepted, _ = self._listener.accept()
            reader = self.keep(accepted)
            self._connections += 1
            if self._connections > MOST_CONNECTIONS:
                self.failure = SourceLost(f"{self.name} leads from one address to the next, and to no picture")
                self.drop(reader)
            else:
                self.begin(lambda reader=reader: self._serve(reader), "http proxy")  # type: ignore[misc]

    def _serve(self, reader: socket.socket) -> None:
        """Fulfil one wish: a second one on the same connection would go to where the first went."""
        camera: socket.socket | None = None
        try:
            wire = Wire(reader, time.monotonic() + self._timeout)
            try:
                method, host, port, head = _read(wire.head())
                camera = self.keep(dial(host, port, self._egress, timeout=self._timeout))
            except Malformed as error:
                self.failure = SourceLost(f"{self.name} leads to an address that cannot be read: {error}")
                reader.sendall(_FORBIDDEN)
                return
            except Unreachable as error:
                self.failure = error.of(self.name)
                reader.sendall(_NO_GATEWAY if error.lost else _FORBIDDEN)
                return
            if method == "CONNECT":
                reader.sendall(_ESTABLISHED)
                camera.sendall(wire.rest())
                self.copy(reader, camera)
            else:
                camera.sendall(head.encode())
                self.copy(reader, camera, self._look)
        finally:
            self.drop(reader)
            if camera is not None:
                self.drop(camera)

    def _look(self, answer: memoryview) -> None:
        if status := _STATUS.match(answer):
            self.status = int(status[1])


def _read(head: Head) -> tuple[str, str, int, Head]:
    """What FFmpeg wishes: method, host, port, and the head to send there.

    Raises:
        Malformed: it is no such wish.
    """
    request = _REQUEST.fullmatch(head.start)
    if request is None or head.length:
        raise Malformed("only GET and CONNECT are made")
    method, target = request.groups()
    try:
        parts = urlsplit(target if method == "GET" else f"//{target}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Malformed(str(error)) from error
    if not host or (method == "GET" and parts.scheme != "http") or (method == "CONNECT" and not port):
        raise Malformed("it names no host")
    headers = [(name, value) for name, value in head.headers if name.lower() not in _OF_ONE_HOP]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return method, host, port or 80, Head(f"GET {path} HTTP/1.1", (*headers, ("Connection", "close")))
