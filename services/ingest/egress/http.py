"""HTTP for FFmpeg, which has no protocol of its own here: it asks for addresses, and reads what it is handed.

Each address is judged like the first: after every redirect, and for each playlist, segment and rendition.
"""

from __future__ import annotations

import fcntl
import http.client
import io
import socket
import sys
import termios
import time
from contextlib import suppress
from urllib.parse import SplitResult, urljoin, urlsplit

from services.ingest.egress.authentication import Login, answer
from services.ingest.egress.connections import Connections, Exhausted
from services.ingest.egress.dialing import Unreachable, dial
from services.ingest.egress.policy import Egress
from services.ingest.egress.tls import decrypted, encrypt
from services.ingest.source import SourceError, SourceLost, SourceRefused

MOST_MOVES = 5
MOST_REQUESTS = 100
"""Without a frame: a playlist has a dozen variants at most, each with a segment or two."""
_PORTS = {"http": 80, "https": 443}
_BUFFER = 32 * 1024
"""Bytes: as many as FFmpeg asks for at once, so that none of them stay behind in a buffer between it and the socket."""
_SKIP = 256 * 1024
"""Bytes: as far ahead is read on, instead of asking anew."""


class Fetcher(Connections):
    """Gets what FFmpeg asks for on behalf of one source.

    Args:
        name: of the source.
        egress: what it may connect to.
        login: is given to `host` alone, over the protocol it was meant for or a safer one.
        host: of the source.
        secure: whether the source was to be reached by TLS.
        timeout: seconds to connect.
    """

    def __init__(
        self, name: str, egress: Egress, *, login: Login | None, host: str, secure: bool, timeout: float
    ) -> None:
        super().__init__(name)
        self._egress, self._timeout = egress, timeout
        self._login, self._login_host, self._secure = login, host, secure
        self._deadline = time.monotonic() + timeout
        self._requests = 0

    def wait_at_most(self, seconds: float) -> None:
        """Bound what is read from now on: FFmpeg does not look at its clock while it reads from us."""
        self._deadline = time.monotonic() + seconds

    def frame_came(self) -> None:
        """Count anew what is sent, and asked for, until the next one."""
        super().frame_came()
        self._requests = 0

    def open(self, url: str) -> Resource:
        """Ask for an address, and for where it leads.

        Raises:
            SourceError: it may not be asked for, or nothing came of it.
        """
        for _ in range(1 + MOST_MOVES):
            resource = self._get(url, 0)
            if not isinstance(resource, str):
                return resource
            url = urljoin(url, resource)
        raise SourceLost(f"{self.name}: the camera says again and again that the stream is elsewhere")

    def io_open(self, url: str, flags: int, options: object) -> Resource | io.BytesIO:  # noqa: ARG002  # PyAV's call
        """What FFmpeg opens besides: nothing, where it may not. An error in here PyAV would print, address and all."""
        try:
            return self.open(url)
        except SourceError as error:
            self.failure = error
            return io.BytesIO()

    def again(self, url: str, at: int) -> Resource | None:
        """The rest of what was opened before, from a byte on; None where the server does not give it."""
        resource = self._get(url, at)
        return None if isinstance(resource, str) or resource.began != at else resource

    def _get(self, url: str, at: int) -> Resource | str:
        """One request: what is there, or where it is instead."""
        parts = self._parts(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        said: str | None = None
        while True:
            resource = self._request(parts, url, target, at, said)
            self.status = resource.status
            if 300 <= resource.status < 400 and resource.location:
                resource.close()
                return resource.location
            if resource.status in (200, 206):
                return resource
            resource.close()
            login = self._login_of(parts)
            if resource.status != 401 or said is not None or login is None:
                raise refusal(self.name, resource.status, logged_in=said is not None)
            said = answer(resource.challenges, login, "GET", target)
            if said is None:
                raise refusal(self.name, resource.status, logged_in=True)

    def _parts(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            if parts.scheme in _PORTS and parts.hostname and parts.port != 0:
                return parts
        except ValueError:
            pass
        raise SourceRefused(f"{self.name} leads to what is no http:// or https:// address: that is not followed")

    def _login_of(self, parts: SplitResult) -> Login | None:
        own = Login.parse(parts.netloc.rpartition("@")[0])
        if own is None and parts.hostname == self._login_host and (parts.scheme == "https" or not self._secure):
            return self._login
        return own

    def _request(self, parts: SplitResult, url: str, target: str, at: int, said: str | None) -> Resource:
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            raise SourceLost(f"{self.name} leads from one address to the next, and to no picture")
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        left = min(self._timeout, self._deadline - time.monotonic())
        try:
            connection = dial(host, port, self._egress, timeout=max(0.0, left))
        except Unreachable as error:
            raise error.of(self.name) from error
        if parts.scheme == "https":
            try:
                connection = encrypt(connection, host, timeout=left)
            except OSError as error:
                raise SourceLost(f"{self.name} does not answer in TLS") from error
        try:
            self.keep(connection)
            exchange = http.client.HTTPConnection(host, port)
            exchange.sock = _Line(connection, self)  # as much of a socket as it uses
            exchange.putrequest("GET", target, skip_accept_encoding=True)
            exchange.putheader("User-Agent", "Metrica")
            exchange.putheader("Connection", "close")
            if at:
                exchange.putheader("Range", f"bytes={at}-")
            if said is not None:
                exchange.putheader("Authorization", said)
            exchange.endheaders()
            return Resource(self, url, connection, exchange.getresponse())
        except TimeoutError as error:
            self.drop(connection)
            raise SourceLost(f"{self.name} did not answer in time") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.drop(connection)
            raise SourceLost(f"{self.name} answers, but with what is no HTTP") from error

    def receive(self, connection: socket.socket, buffer: memoryview) -> int:
        """Read what has come, in time and within bounds.

        Raises:
            OSError: nothing came in time, or the connection broke.
            Exhausted: too much came without a frame.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        count = connection.recv_into(buffer)
        self.count(count)
        return count


class Resource:
    """What is at an address, as a file that FFmpeg reads. It raises nothing: an error ends the file.

    Attributes:
        name: the address that it came from at last, from which FFmpeg goes on to those beside it.
        began: the first byte of it that the camera gives.
    """

    def __init__(
        self, fetcher: Fetcher, url: str, connection: socket.socket, response: http.client.HTTPResponse
    ) -> None:
        self._fetcher, self._connection, self._response = fetcher, connection, response
        self.name = _without_login(url)
        self._url = url
        self.status = response.status
        self.location = response.getheader("Location") or ""
        self.challenges = response.headers.get_all("WWW-Authenticate") or []
        self.kind = response.headers.get_content_type()
        self.began = _began(response)
        self._at = self._wanted = self.began
        self._length = None if response.length is None else self.began + response.length
        self._seekable = self._length is not None and (
            response.status == 206 or "bytes" in (response.getheader("Accept-Ranges") or "").lower()
        )

    @property
    def ends(self) -> bool:
        """Tell whether it has a known end: it is a file, and comes as fast as it can be read."""
        return self._length is not None

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Tell whether the camera gives parts of it, as a web server does of a file."""
        return self._seekable

    def tell(self) -> int:
        """The next byte that is read."""
        return self._wanted

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go elsewhere; what is there is asked for when it is read."""
        base = (0, self._wanted, self._length or 0)[whence]
        self._wanted = max(0, base + offset)
        return self._wanted

    def read(self, count: int) -> bytes:
        """Some bytes, as they come; none at the end, and where nothing more is to be had."""
        try:
            if self._wanted != self._at and not self._go():
                return b""
            taken = self._response.read1(count)
        except Exhausted:
            self._fetcher.failure = SourceLost(f"{self._fetcher.name} sends more than a picture takes, and no picture")
            return b""
        except SourceError as error:
            self._fetcher.failure = error
            return b""
        except (OSError, http.client.HTTPException, ValueError):  # it broke, or `close` took it away
            return b""
        self._at += len(taken)
        self._wanted = self._at
        return taken

    def waiting(self, end: int) -> int:
        """Count the bytes that have arrived behind a position, read by FFmpeg or not.

        Args:
            end: a position that FFmpeg has read past.

        Returns:
            So many; 0 where the connection is gone. Chunks' heads and TLS are counted with them.
        """
        try:
            arrived = bytearray(4)
            fcntl.ioctl(self._connection, termios.FIONREAD, arrived)
        except (OSError, ValueError):
            return 0
        return self._at - end + decrypted(self._connection) + int.from_bytes(arrived, sys.byteorder)

    def close(self) -> None:
        """Hang up."""
        self._fetcher.drop(self._connection)
        with suppress(OSError, ValueError):
            self._response.close()

    def _go(self) -> bool:
        """Bring the connection to where FFmpeg wants to read."""
        ahead = self._wanted - self._at
        if 0 < ahead <= _SKIP:
            while ahead and (passed := self._response.read1(ahead)):
                ahead -= len(passed)
            self._at = self._wanted - ahead
            return not ahead
        if self._length is not None and self._wanted >= self._length:
            return False
        rest = self._fetcher.again(self._url, self._wanted)
        if rest is None:
            return False
        self.close()
        self._connection, self._response, self._at = rest._connection, rest._response, rest.began  # noqa: SLF001
        return True


class _Line:
    """A connection as http.client uses a socket; who reads from it is bound by the fetcher's time and measure."""

    def __init__(self, connection: socket.socket, fetcher: Fetcher) -> None:
        self._connection, self._fetcher = connection, fetcher

    def sendall(self, data: bytes) -> None:
        self._connection.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._connection, self._fetcher), _BUFFER)

    def close(self) -> None:
        """Nothing: the answer may still be read."""


class _Incoming(io.RawIOBase):
    def __init__(self, connection: socket.socket, fetcher: Fetcher) -> None:
        super().__init__()
        self._connection, self._fetcher = connection, fetcher

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._fetcher.receive(self._connection, buffer)


def refusal(name: str, status: int, *, logged_in: bool) -> SourceError:
    """What it means that a camera answers with a status and no stream."""
    match status:
        case 401 | 403 if logged_in:
            # A camera that has no such stream answers 401 too, when it asks for the password first.
            return SourceRefused(f"{name} did not let us in, or has no such stream: are user name and password right?")
        case 401 | 403:
            return SourceRefused(f"{name} asks for a user name and password: write rtsp://user:password@host/…")
        case 404 | 454:
            return SourceLost(f"{name}: the camera answers, but has no stream at this path")
        case _:
            return SourceLost(f"{name}: the camera answers with status {status} instead of a stream")


def _began(response: http.client.HTTPResponse) -> int:
    unit, _, rest = (response.getheader("Content-Range") or "").partition(" ")
    first = rest.partition("-")[0]
    return int(first) if response.status == 206 and unit == "bytes" and first.isdecimal() else 0


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
