"""RTSP and HTTP cameras: FFmpeg reads them, and never connects to them itself."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from av.error import FFmpegError

from contracts.address import host_only
from services.ingest.decoding.decoder import Decoder, IoOpen
from services.ingest.decoding.limits import OF_HTTP, OF_RTSP
from services.ingest.diagnosis import explain
from services.ingest.egress import Egress
from services.ingest.egress.authentication import Login
from services.ingest.egress.connections import Connections
from services.ingest.egress.dialing import Unreachable, dial
from services.ingest.egress.http import Fetcher, Resource
from services.ingest.egress.rtsp import RtspRelay
from services.ingest.egress.tls import encrypt
from services.ingest.live import LiveCamera
from services.ingest.mistyped import unescaped_login
from services.ingest.sources import SourceLost, SourceRefused
from services.kit.codec import Image

MOST_MOVES = 3
"""How often an RTSP camera may say that the stream is elsewhere."""
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_FORMS = {
    "multipart/x-mixed-replace": "mpjpeg",
    "application/vnd.apple.mpegurl": "hls",
    "application/x-mpegurl": "hls",
    "audio/mpegurl": "hls",
    "audio/x-mpegurl": "hls",
}
"""What a camera says it sends, where FFmpeg would have to guess."""
_WHOLE = 0.9
"""Pictures of one stream are about as large: when so much of the next one is there, it is as good as whole."""
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")


class _Deadline:
    """The end of the time that a stream has to open; what is told is the whole of it, whatever went by before."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then; 0 afterwards."""
        return max(0.0, self._at - time.monotonic())


@dataclass(frozen=True, slots=True)
class _Address:
    """An address of a camera, taken apart."""

    name: str
    scheme: str
    host: str
    port: int
    login: str
    rest: str

    @classmethod
    def parse(cls, address: str, name: str) -> _Address:
        """Take an address apart.

        Raises:
            SourceRefused: it is none.
        """
        if unescaped := unescaped_login(address):
            raise SourceRefused(f"{name} {unescaped}")
        try:
            parts = urlsplit(_quote(address))
            scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
        except ValueError:
            # The error would name what stands where the port should be.
            raise SourceRefused(
                f"{name} is no address: its port must be a number, as in rtsp://10.0.0.5:554/stream"
            ) from None
        if not host:
            raise SourceRefused(f"{name} names no host: write it as rtsp://10.0.0.5:554/stream")
        return cls(name, scheme, _ascii(host), port or _PORTS[scheme], _login(parts), _rest(parts))

    def at(self, scheme: str, host: str, port: int, *, login: str) -> str:
        """The same stream at another host."""
        return f"{scheme}://{login}{f'[{host}]' if ':' in host else host}:{port}{self.rest}"

    def moved(self, location: str) -> _Address:
        """Where a camera said that its stream is. It gets the login where the host stays the same.

        Raises:
            SourceLost: that is no RTSP address.
        """
        here = f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}{self.rest}"
        try:
            there = urlsplit(urljoin(here, _quote(location)))
            scheme, host, port = there.scheme.lower(), there.hostname, there.port
        except ValueError:
            scheme, host, port = "", None, None
        if scheme not in ("rtsp", "rtsps") or not host or not location:
            raise SourceLost(f"{self.name}: the camera says that the stream is elsewhere, and not where")
        login = _login(there) or (self.login if host == self.host else "")
        return _Address(self.name, scheme, _ascii(host), port or _PORTS[scheme], login, _rest(there))


class NetworkCamera:
    """A stream and the connections that it comes by, as one."""

    def __init__(
        self, stream: Decoder, connections: Connections, read_timeout: float, resource: Resource | None = None
    ) -> None:
        self._stream, self._connections, self._read_timeout = stream, connections, read_timeout
        self._resource = resource

    @property
    def fps(self) -> float:
        """Frames per second that it announces; 0 where it says nothing."""
        return self._stream.fps

    def stop_if_closed(self) -> None:
        """Raise SourceClosed where `close` was called."""
        self._stream.stop_if_closed()

    def grab(self) -> bool:
        """Go to the next frame: False at the end, on an error or time-out, or once closed.

        Raises:
            SourceRefused: the camera led to where it may not be, or sends pictures that are too large.
            SourceLost: the reason why there is none is known.
        """
        self._connections.wait_at_most(self._read_timeout)
        if self._stream.grab():
            self._connections.frame_came()
            return True
        if self._connections.failure is not None and not self._stream.closed:
            raise self._connections.failure
        return False

    @property
    def arrival(self) -> int:
        """Moment at which the grabbed frame had come, before it was decoded."""
        return self._stream.arrival

    @property
    def outdated(self) -> bool:
        """Tell whether a whole frame waits behind the one that was grabbed. Motion JPEG alone is looked at."""
        packet = self._stream.packet
        if self._resource is None or packet is None or not self._stream.unstamped:
            return False
        begin, size = packet
        return self._resource.waiting(begin + size) >= size * _WHOLE

    def retrieve(self) -> Image | None:
        """The picture of the frame that was grabbed: None where it cannot be unpacked."""
        return self._stream.retrieve()

    def close(self) -> None:
        """Hang up: a read under way ends at once."""
        self._stream.close()
        self._connections.close()


def open_stream(
    address: str,
    *,
    egress: Egress,
    open_timeout: float,
    read_timeout: float,
    track: int | None = None,
) -> LiveCamera:
    """Open an RTSP or HTTP stream.

    Args:
        address: as it was given.
        egress: what may be connected to.
        open_timeout: seconds until the stream is there.
        read_timeout: seconds for a frame.
        track: the number of the video track to read, from 1; None is the main one.

    Raises:
        SourceRefused: the address, user name or password is wrong, or a camera may not be there.
        SourceLost: the camera does not answer, or sends nothing.
    """
    camera = _Address.parse(address, host_only(address))
    deadline = _Deadline(open_timeout)
    opened = _open_http if camera.scheme in ("http", "https") else _open_rtsp
    stream = opened(camera, egress, deadline, read_timeout, track)
    with _ended_by_failure(stream):
        return LiveCamera(camera.name, stream, read_timeout)


def _open_http(
    camera: _Address, egress: Egress, deadline: _Deadline, read_timeout: float, track: int | None
) -> NetworkCamera:
    fetcher = Fetcher(
        camera.name,
        egress,
        login=Login.parse(camera.login.removesuffix("@")),
        host=camera.host,
        secure=camera.scheme == "https",
        timeout=deadline.left,
    )
    with _ended_by_failure(fetcher):
        resource = fetcher.open(camera.at(camera.scheme, camera.host, camera.port, login=""))
        form = _FORMS.get(resource.kind)
        stream = _read(camera, fetcher, resource, OF_HTTP, deadline, read_timeout, track, form, fetcher.io_open)
        return NetworkCamera(stream, fetcher, read_timeout, resource)


def _open_rtsp(
    camera: _Address, egress: Egress, deadline: _Deadline, read_timeout: float, track: int | None
) -> NetworkCamera:
    for _ in range(1 + MOST_MOVES):
        relay = _call(camera, egress, deadline.left)
        try:
            # Within the relay the camera is spoken to in plain RTSP: TLS, if any, is the relay's.
            with _ended_by_failure(relay):
                door = camera.at("rtsp", "127.0.0.1", relay.port, login=camera.login)
                stream = _read(camera, relay, door, OF_RTSP, deadline, read_timeout, track)
                return NetworkCamera(stream, relay, read_timeout)
        except (SourceLost, SourceRefused):
            if relay.moved is None:
                raise
            camera = camera.moved(relay.moved)
    raise SourceLost(f"{camera.name}: the camera says again and again that the stream is elsewhere")


@contextmanager
def _ended_by_failure(connections: Connections | NetworkCamera) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connections.close()
        raise


def _call(camera: _Address, egress: Egress, timeout: float) -> RtspRelay:
    try:
        connection = dial(camera.host, camera.port, egress, timeout=timeout)
    except Unreachable as error:
        raise error.of(camera.name) from error
    if camera.scheme == "rtsps":
        try:
            connection = encrypt(connection, camera.host, timeout=timeout)
        except OSError as error:
            connection.close()
            raise SourceLost(f"{camera.name} does not answer in TLS") from error
    return RtspRelay(camera.name, connection, timeout=timeout)


def _read(
    camera: _Address,
    connections: Connections,
    door: str | Resource,
    options: dict[str, str],
    deadline: _Deadline,
    read_timeout: float,
    track: int | None,
    form: str | None = None,
    io_open: IoOpen | None = None,
) -> Decoder:
    try:
        return Decoder(
            camera.name,
            door,
            options,
            timeout=(max(0.1, deadline.left), read_timeout),
            form=form,
            io_open=io_open,
            track=track,
        )
    except FFmpegError:
        known = connections.failure is not None or connections.status is not None
        # The relay and FFmpeg give up a little early or late, each by its own clock.
        if not known and deadline.left <= deadline.seconds * 0.1:
            raise SourceLost(f"{camera.name} did not answer within {deadline.seconds:g} s") from None
        raise explain(camera.name, connections, logged_in=bool(camera.login)) from None


def _ascii(host: str) -> str:
    """A host's name in the letters of the name system; the one that it was given where that cannot be."""
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def _login(parts: SplitResult) -> str:
    """User name and password as they stand in an address, with the @ behind them; nothing where there are none."""
    return "".join(parts.netloc.rpartition("@")[:2])


def _rest(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _quote(address: str) -> str:
    """An address in one line: urlsplit would leave line breaks out, and FFmpeg's request would end there."""
    return _UNPRINTABLE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), address)
