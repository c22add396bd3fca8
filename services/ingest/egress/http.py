"""HTTP client for FFmpeg, whose own protocols are switched off: FFmpeg asks for addresses, and reads file objects.

The rule for connections applies to each address: after every redirect, and for each playlist, segment and rendition.
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
from services.ingest.egress.dialing import dial
from services.ingest.egress.policy import Egress
from services.ingest.egress.tls import decrypted
from services.ingest.source import SourceError, SourceLost, SourceRefused

MOST_MOVES = 5
"""Most redirects in a row that are followed."""
MOST_REQUESTS = 100
"""Most requests without a frame: a playlist has a dozen variants at most, each with a segment or two."""
_PORTS = {"http": 80, "https": 443}
_BUFFER = 32 * 1024
"""Bytes; as many as FFmpeg asks for at once, so that none stay in a buffer between it and the socket."""
_SKIP = 256 * 1024
"""Bytes; for a seek ahead by at most so many, the response is read on. A longer one makes a new request."""


class Fetcher(Connections):
    """Makes FFmpeg's HTTP requests for one source.

    Args:
        name: of the source, for display.
        egress: the rule for connections.
        login: is sent to `host` alone, and never without TLS where `secure` is true.
        host: of the source.
        secure: true where the source's address is `https://`.
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
        """Limit the time of the reads from now on: FFmpeg's own time-out does not apply to file objects."""
        self._deadline = time.monotonic() + seconds

    def frame_came(self) -> None:
        """Note that a frame came; the limits of bytes and requests apply anew until the next one."""
        super().frame_came()
        self._requests = 0

    def open(self, url: str) -> Resource:
        """Request an address, and follow its redirects.

        Raises:
            SourceError: an address is forbidden, or a request failed.
        """
        for _ in range(1 + MOST_MOVES):
            resource = self._get(url, 0)
            if not isinstance(resource, str):
                return resource
            url = urljoin(url, resource)
        raise SourceLost(
            f"{self.name}: the camera redirects again and again", code="redirects-again-and-again", source=self.name
        )

    def io_open(self, url: str, flags: int, options: object) -> Resource | io.BytesIO:  # noqa: ARG002  # PyAV's call
        """Open a further address for FFmpeg.

        On failure the file is empty, and the error is in `failure`: PyAV would print a raised one, address and all.
        """
        try:
            return self.open(url)
        except SourceError as error:
            self.failure = error
            return io.BytesIO()

    def again(self, url: str, at: int) -> Resource | None:
        """Request the rest of an opened resource from a byte on; None where the server does not give it."""
        resource = self._get(url, at)
        return None if isinstance(resource, str) or resource.began != at else resource

    def _get(self, url: str, at: int) -> Resource | str:
        """Make one request, with a login where the camera asks for it.

        Returns:
            The response, or the address of a redirect.
        """
        parts = self._parts(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        authorization: str | None = None
        while True:
            resource = self._request(parts, url, target, at, authorization)
            self.status = resource.status
            if 300 <= resource.status < 400 and resource.location:
                resource.close()
                return resource.location
            if resource.status in (200, 206):
                return resource
            resource.close()
            login = self._login_of(parts)
            if resource.status != 401 or authorization is not None or login is None:
                raise status_error(self.name, resource.status, logged_in=authorization is not None)
            authorization = answer(resource.challenges, login, "GET", target)
            if authorization is None:
                raise status_error(self.name, resource.status, logged_in=True)

    def _parts(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            if parts.scheme in _PORTS and parts.hostname and parts.port != 0:
                return parts
        except ValueError:
            pass
        raise SourceRefused(
            f"{self.name} redirects to an address that is neither http:// nor https://: that is not followed",
            code="redirect-not-followed",
            source=self.name,
        )

    def _login_of(self, parts: SplitResult) -> Login | None:
        own = Login.parse(parts.netloc.rpartition("@")[0])
        if own is None and parts.hostname == self._login_host and (parts.scheme == "https" or not self._secure):
            return self._login
        return own

    def _request(self, parts: SplitResult, url: str, target: str, at: int, authorization: str | None) -> Resource:
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            raise SourceLost(
                f"{self.name} leads from address to address, and to no picture",
                code="redirects-without-end",
                source=self.name,
            )
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        left = min(self._timeout, self._deadline - time.monotonic())
        secure = parts.scheme == "https"
        connection = dial(self.name, host, port, self._egress, secure=secure, timeout=max(0.0, left))
        try:
            self.keep(connection)
            exchange = http.client.HTTPConnection(host, port)
            exchange.sock = _LimitedSocket(connection, self)
            exchange.putrequest("GET", target, skip_accept_encoding=True)
            exchange.putheader("User-Agent", "Metrica")
            exchange.putheader("Connection", "close")
            if at:
                exchange.putheader("Range", f"bytes={at}-")
            if authorization is not None:
                exchange.putheader("Authorization", authorization)
            exchange.endheaders()
            return Resource(self, url, connection, exchange.getresponse())
        except TimeoutError as error:
            self.drop(connection)
            raise SourceLost(
                f"{self.name} did not answer in time", code="no-answer-in-time", source=self.name
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.drop(connection)
            raise SourceLost(f"{self.name} answers, but not in HTTP", code="no-http", source=self.name) from error

    def receive(self, connection: socket.socket, buffer: memoryview) -> int:
        """Receive bytes within the limits of time and size.

        Args:
            connection: to read from.
            buffer: to read into.

        Returns:
            The number of bytes; 0 where the camera closed.

        Raises:
            OSError: nothing came in time, or the connection broke.
            Exhausted: too many bytes came without a frame.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        count = connection.recv_into(buffer)
        self.count(count)
        return count


class Resource:
    """A response as a file object that FFmpeg reads. It raises nothing: an error ends the file.

    Attributes:
        name: its address after redirects, without login; FFmpeg resolves relative addresses against it.
        status: of the response.
        location: of a redirect; empty where there is none.
        challenges: values of the headers `WWW-Authenticate`.
        content_type: in lower case, without parameters.
        began: the position of the response's first byte in the resource.
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
        self.content_type = response.headers.get_content_type()
        self.began = _began(response)
        self._at = self._target = self.began  # the next byte of the response, and the next one that FFmpeg reads
        self._length = None if response.length is None else self.began + response.length
        self._seekable = self._length is not None and (
            response.status == 206 or "bytes" in (response.getheader("Accept-Ranges") or "").lower()
        )

    @property
    def ends(self) -> bool:
        """Tell whether its length is known: it is a file then, and comes as fast as it can be read."""
        return self._length is not None

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Tell whether the camera serves ranges of it, as a web server does of a file."""
        return self._seekable

    def tell(self) -> int:
        """The position of the next byte to read."""
        return self._target

    def seek(self, offset: int, whence: int = 0) -> int:
        """Set the position of the next byte to read. The request for it is made by `read`."""
        base = (0, self._target, self._length or 0)[whence]
        self._target = max(0, base + offset)
        return self._target

    def read(self, count: int) -> bytes:
        """Read up to `count` bytes as they come; none at the end, and after an error."""
        try:
            if self._target != self._at and not self._go():
                return b""
            taken = self._response.read1(count)
        except Exhausted:
            name = self._fetcher.name
            self._fetcher.failure = SourceLost(
                f"{name} sends more data than a picture takes, and no picture", code="more-than-a-picture", source=name
            )
            return b""
        except SourceError as error:
            self._fetcher.failure = error
            return b""
        except (OSError, http.client.HTTPException, ValueError):  # the connection broke, or `close` ended it
            return b""
        self._at += len(taken)
        self._target = self._at
        return taken

    def waiting(self, end: int) -> int:
        """Count the bytes that have arrived behind a position, read by FFmpeg or not.

        Args:
            end: a position that FFmpeg has read past.

        Returns:
            The number of bytes, with the heads of chunks and the overhead of TLS; 0 where the connection is gone.
        """
        try:
            arrived = bytearray(4)
            fcntl.ioctl(self._connection, termios.FIONREAD, arrived)
        except (OSError, ValueError):
            return 0
        return self._at - end + decrypted(self._connection) + int.from_bytes(arrived, sys.byteorder)

    def close(self) -> None:
        """Close the connection."""
        self._fetcher.drop(self._connection)
        with suppress(OSError, ValueError):
            self._response.close()

    def _go(self) -> bool:
        """Bring the connection to the position that FFmpeg reads from; False where that fails."""
        ahead = self._target - self._at
        if 0 < ahead <= _SKIP:
            while ahead and (passed := self._response.read1(ahead)):
                ahead -= len(passed)
            self._at = self._target - ahead
            return not ahead
        if self._length is not None and self._target >= self._length:
            return False
        rest = self._fetcher.again(self._url, self._target)
        if rest is None:
            return False
        self.close()
        self._connection, self._response, self._at = rest._connection, rest._response, rest.began  # noqa: SLF001
        return True


class _LimitedSocket:
    """The part of a socket that http.client uses. Reads are within the fetcher's limits of time and size."""

    def __init__(self, connection: socket.socket, fetcher: Fetcher) -> None:
        self._connection, self._fetcher = connection, fetcher

    def sendall(self, data: bytes) -> None:
        self._connection.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._connection, self._fetcher), _BUFFER)

    def close(self) -> None:
        """Do nothing: the response may still be read."""


class _Incoming(io.RawIOBase):
    """The raw stream of a connection, within the fetcher's limits."""

    def __init__(self, connection: socket.socket, fetcher: Fetcher) -> None:
        super().__init__()
        self._connection, self._fetcher = connection, fetcher

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._fetcher.receive(self._connection, buffer)


def status_error(name: str, status: int, *, logged_in: bool) -> SourceError:
    """The error to raise for a camera that answers with a status and no stream.

    Args:
        name: of the source, for display.
        status: of the answer.
        logged_in: true if a login was sent.
    """
    match status:
        case 401 | 403 if logged_in:
            # A camera that has no such stream answers 401 too, when it asks for the password first.
            return SourceRefused(
                f"{name} did not let us in, or has no such stream: are user name and password right?",
                code="not-let-in",
                source=name,
            )
        case 401 | 403:
            return SourceRefused(
                f"{name} asks for a user name and password: write rtsp://user:password@host/…",
                code="password-needed",
                source=name,
            )
        case 404 | 454:
            return SourceLost(
                f"{name}: the camera answers, but has no stream at this path", code="no-stream-at-path", source=name
            )
        case _:
            return SourceLost(
                f"{name}: the camera answers with status {status} instead of a stream",
                code="wrong-status",
                source=name,
                status=status,
            )


def _began(response: http.client.HTTPResponse) -> int:
    """The position of a response's first byte in its resource, by Content-Range; 0 of a whole one."""
    unit, _, rest = (response.getheader("Content-Range") or "").partition(" ")
    first = rest.partition("-")[0]
    return int(first) if response.status == 206 and unit == "bytes" and first.isdecimal() else 0


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
