"""RTSP and HTTP cameras: FFmpeg reads them through a relay, which alone decides what is connected to."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from av.error import FFmpegError

from contracts.address import redact
from services.ingest.demuxing import OF_HTTP, OF_RTSP, Demuxed
from services.ingest.diagnosis import explain
from services.ingest.egress import Egress
from services.ingest.egress.dialing import Unreachable, dial
from services.ingest.egress.proxy import HttpProxy
from services.ingest.egress.relay import Relay
from services.ingest.egress.rtsp import RtspRelay, encrypt
from services.ingest.live import LiveCamera
from services.ingest.sources import SourceLost, SourceRefused
from services.kit.codec import Image

MOST_MOVES = 3
"""How often an RTSP camera may say that the stream is elsewhere."""
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")


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
        try:
            parts = urlsplit(_quote(address))
            scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
        except ValueError as error:
            raise SourceRefused(
                f"{name} is no address: its port must be a number, as in rtsp://10.0.0.5:554/stream"
            ) from error
        if not host:
            raise SourceRefused(f"{name} names no host: write it as rtsp://10.0.0.5:554/stream")
        return cls(name, scheme, host, port or _PORTS[scheme], _login(parts), _rest(parts))

    def at(self, scheme: str, host: str, port: int) -> str:
        """The same stream and login at another host."""
        return f"{scheme}://{self.login}{f'[{host}]' if ':' in host else host}:{port}{self.rest}"

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
        return _Address(self.name, scheme, host, port or _PORTS[scheme], login, _rest(there))


class RelayedCamera:
    """A stream and its relay, as one."""

    def __init__(self, stream: Demuxed, relay: Relay) -> None:
        self._stream, self._relay = stream, relay

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
            SourceLost: the relay knows better than FFmpeg why there is none.
        """
        if self._stream.grab():
            self._relay.frame_came()
            return True
        if self._relay.failure is not None and not self._stream.closed:
            raise self._relay.failure
        return False

    def retrieve(self) -> Image | None:
        """The picture of the frame that was grabbed: None where it cannot be unpacked."""
        return self._stream.retrieve()

    def close(self) -> None:
        """Hang up: a read under way ends at once."""
        self._stream.close()
        self._relay.close()


def open_stream(
    address: str,
    *,
    egress: Egress,
    open_timeout: float,
    read_timeout: float,
    clock: Callable[[], int] = time.monotonic_ns,
) -> LiveCamera:
    """Open an RTSP or HTTP stream.

    Args:
        address: as it was given.
        egress: what may be connected to.
        open_timeout: seconds until the stream is there.
        read_timeout: seconds for a frame.
        clock: in nanoseconds, by which frames arrive.

    Raises:
        SourceRefused: the address, user name or password is wrong, or a camera may not be there.
        SourceLost: the camera does not answer, or sends nothing.
    """
    camera = _Address.parse(address, redact(address))
    deadline = time.monotonic() + open_timeout
    if camera.scheme in ("http", "https"):
        relay: Relay = (proxy := HttpProxy(camera.name, egress, timeout=open_timeout))
        options = {**OF_HTTP, "http_proxy": proxy.url}
        stream = _read(
            camera, relay, camera.at(camera.scheme, camera.host, camera.port), options, deadline, read_timeout
        )
    else:
        relay, stream = _open_rtsp(camera, egress, deadline, read_timeout)
    return LiveCamera(camera.name, RelayedCamera(stream, relay), read_timeout, clock)


def _open_rtsp(camera: _Address, egress: Egress, deadline: float, read_timeout: float) -> tuple[Relay, Demuxed]:
    for _ in range(1 + MOST_MOVES):
        relay = _call(camera, egress, max(0.0, deadline - time.monotonic()))
        try:
            # Within the relay the camera is spoken to in plain RTSP: TLS, if any, is the relay's.
            door = camera.at("rtsp", "127.0.0.1", relay.port)
            return relay, _read(camera, relay, door, OF_RTSP, deadline, read_timeout)
        except (SourceLost, SourceRefused):
            if relay.moved is None:
                raise
            camera = camera.moved(relay.moved)
    raise SourceLost(f"{camera.name}: the camera says again and again that the stream is elsewhere")


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
            raise SourceLost(f"{camera.name}: {camera.host}:{camera.port} does not answer in TLS") from error
    return RtspRelay(camera.name, connection, timeout=timeout)


def _read(
    camera: _Address, relay: Relay, door: str, options: dict[str, str], deadline: float, read_timeout: float
) -> Demuxed:
    left = max(0.1, deadline - time.monotonic())
    began = time.monotonic()
    try:
        return Demuxed(camera.name, door, options, open_timeout=left, read_timeout=read_timeout)
    except FFmpegError as error:
        relay.close()
        if relay.failure is None and relay.status is None and time.monotonic() - began >= left * 0.9:
            raise SourceLost(f"{camera.name}: {camera.host}:{camera.port} did not answer within {left:.2g} s") from None
        # FFmpeg's own words hold the address.
        raise explain(camera.name, relay, error, logged_in=bool(camera.login)) from None
    except SourceRefused:
        relay.close()
        raise


def _login(parts: SplitResult) -> str:
    """User name and password as they stand in an address, with the @ behind them; nothing where there are none."""
    return "".join(parts.netloc.rpartition("@")[:2])


def _rest(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _quote(address: str) -> str:
    """An address in one line: urlsplit would leave line breaks out, and FFmpeg's request would end there."""
    return _UNPRINTABLE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), address)
