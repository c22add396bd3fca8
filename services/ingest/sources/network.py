"""RTSP and HTTP cameras. FFmpeg reads their streams, through connections that `egress` makes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from av.error import FFmpegError

from contracts.address import host_only
from services.ingest.decimator import SECOND
from services.ingest.decoding.decoder import Decoder, IoOpen
from services.ingest.decoding.limits import HTTP_OPTIONS, RTSP_OPTIONS, RTSP_OVER_UDP_OPTIONS
from services.ingest.decoding.remarks import remarks_on
from services.ingest.decoding.timestamps import Timestamps
from services.ingest.egress import Egress
from services.ingest.egress.authentication import Login
from services.ingest.egress.connections import Connections
from services.ingest.egress.dialing import dial
from services.ingest.egress.http import Fetcher, Resource
from services.ingest.egress.rtsp import RtspRelay
from services.ingest.source import SourceLost, SourceRefused
from services.ingest.sources.connection_error import opening_error
from services.ingest.sources.dating import Dating
from services.ingest.sources.live_camera import LiveCamera
from services.ingest.sources.location import Location
from services.ingest.sources.playout import Playout
from services.kit.codec import Image

MOST_MOVES = 3
"""Most redirects of an RTSP camera that are followed."""
_ASSUMED_FPS = 25.0
_FORMATS = {
    "multipart/x-mixed-replace": "mpjpeg",
    "application/vnd.apple.mpegurl": "hls",
    "application/x-mpegurl": "hls",
    "audio/mpegurl": "hls",
    "audio/x-mpegurl": "hls",
}
"""FFmpeg's format for a Content-Type, where FFmpeg would have to guess."""
_WHOLE = 0.9
"""Part of a frame's bytes by which the next frame counts as arrived: frames of one stream have about the same size."""


class NetworkCamera:
    """A network camera as a frame stream: the decoder, and the connections that it reads from.

    A frame is dated by its arrival, whatever the camera's clock does. Where many frames arrive at once, as in segments
    of HLS, they are played out and dated as far apart as they were recorded.

    Args:
        stream: the camera's video.
        connections: that the stream comes by.
        read_timeout: seconds for a frame.
        resource: of an HTTP camera, the response that the stream is read from.
    """

    def __init__(
        self, stream: Decoder, connections: Connections, read_timeout: float, resource: Resource | None = None
    ) -> None:
        self._stream, self._connections, self._read_timeout = stream, connections, read_timeout
        self._resource = resource
        self.fps, self.arrival = stream.fps, 0
        interval = round(SECOND / (stream.fps or _ASSUMED_FPS))
        self._times = Timestamps(interval, ignored=stream.unstamped, jumps_are_faults=True)
        in_bursts = resource is not None and (stream.format == "hls" or resource.ends) and not stream.unstamped
        self._playout = Playout(interval) if in_bursts else None
        self._dating = Dating()
        self._closed = threading.Event()

    def stop_if_closed(self) -> None:
        """Raise SourceClosed where `close` was called."""
        self._stream.stop_if_closed()

    def grab(self) -> bool:
        """Go to the next frame: False at the end, on an error or time-out, or once closed.

        Raises:
            SourceRefused: the camera redirects to a forbidden address, or its pictures are too large.
            SourceLost: the stream broke, and the reason is known.
        """
        self._connections.wait_at_most(self._read_timeout)
        if self._stream.grab():
            self._connections.frame_came()
            return self._date_and_wait()
        if self._connections.failure is not None and not self._stream.closed:
            raise self._connections.failure
        return False

    def _date_and_wait(self) -> bool:
        """Date the frame, and wait until it is due; False where `close` was called meanwhile."""
        stamp = self._times.next(self._stream.time)
        if self._playout is not None:
            now = time.monotonic_ns()
            self.arrival, due = self._playout.schedule(stamp, now)
            return not self._closed.wait((due - now) / SECOND)
        self.arrival = self._dating.date(None if self._stream.unstamped else stamp, self._stream.arrival)
        return True

    @property
    def remarks(self) -> list[str]:
        """Remarks on unusual properties of the stream, as far as it was read."""
        repairs, remarks = self._times.repairs, remarks_on(self._stream)
        if repairs.jumps:
            remarks.append(f"its clock was set while it was read, {repairs.jumps}×: times go on at the frame rate")
        return remarks

    @property
    def outdated(self) -> bool:
        """Tell whether a whole frame waits behind the grabbed one. It is known of motion JPEG alone."""
        packet = self._stream.packet
        if self._resource is None or packet is None or not self._stream.unstamped:
            return False
        begin, size = packet
        return self._resource.waiting(begin + size) >= size * _WHOLE

    def retrieve(self) -> Image | None:
        """Convert the picture of the grabbed frame; None where that fails."""
        return self._stream.retrieve()

    def close(self) -> None:
        """Close the stream and its connections; a read or a wait under way ends at once."""
        self._closed.set()
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
        address: as its user gave it.
        egress: the rule for its connections.
        open_timeout: seconds until the stream's first frame.
        read_timeout: seconds for a frame.
        track: the number of the video track to read, from 1; None chooses the main one.

    Raises:
        SourceRefused: the address, user name or password is wrong, or egress forbids the address.
        SourceLost: the camera does not answer, or sends nothing.
    """
    camera = Location.parse(address, host_only(address))
    opening = _Opening(egress, open_timeout, read_timeout, track)
    stream = opening.http(camera) if camera.scheme in ("http", "https") else opening.rtsp(camera)
    with _closed_on_failure(stream):
        return LiveCamera(camera.name, stream, read_timeout)


class _Opening:
    """The opening of one stream, whose steps share the time until it must be open; arguments as of `open_stream`."""

    def __init__(self, egress: Egress, open_timeout: float, read_timeout: float, track: int | None) -> None:
        self._egress, self._seconds, self._read_timeout, self._track = egress, open_timeout, read_timeout, track
        self._deadline = time.monotonic() + open_timeout

    def http(self, camera: Location) -> NetworkCamera:
        fetcher = Fetcher(
            camera.name,
            self._egress,
            login=Login.parse(camera.login.removesuffix("@")),
            host=camera.host,
            secure=camera.scheme == "https",
            timeout=self._left,
        )
        with _closed_on_failure(fetcher):
            resource = fetcher.open(camera.at(camera.scheme, camera.host, camera.port, login=""))
            container_format = _FORMATS.get(resource.content_type)
            stream = self._decoder(camera, fetcher, resource, HTTP_OPTIONS, container_format, fetcher.io_open)
            return NetworkCamera(stream, fetcher, self._read_timeout, resource)

    def rtsp(self, camera: Location) -> NetworkCamera:
        for _ in range(1 + MOST_MOVES):
            udp, timeout = camera.scheme == "rtspu", self._left
            secure = camera.scheme == "rtsps"
            connection = dial(camera.name, camera.host, camera.port, self._egress, secure=secure, timeout=timeout)
            relay = RtspRelay(camera.name, connection, timeout=timeout, udp=self._egress if udp else None)
            try:
                # FFmpeg speaks plain RTSP to the relay; TLS, if any, is between the relay and the camera.
                with _closed_on_failure(relay):
                    url = camera.at("rtsp", "127.0.0.1", relay.port, login=camera.login)
                    stream = self._decoder(camera, relay, url, RTSP_OVER_UDP_OPTIONS if udp else RTSP_OPTIONS)
                    return NetworkCamera(stream, relay, self._read_timeout)
            except (SourceLost, SourceRefused):
                if relay.moved is None:
                    raise
                camera = camera.moved(relay.moved)
        raise SourceLost(
            f"{camera.name}: the camera redirects again and again", code="redirects-again-and-again", source=camera.name
        )

    @property
    def _left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def _decoder(
        self,
        camera: Location,
        connections: Connections,
        source: str | Resource,
        options: dict[str, str],
        container_format: str | None = None,
        io_open: IoOpen | None = None,
    ) -> Decoder:
        try:
            return Decoder(
                camera.name,
                source,
                options,
                timeout=(max(0.1, self._left), self._read_timeout),
                container_format=container_format,
                io_open=io_open,
                track=self._track,
            )
        except FFmpegError:
            # The relay and FFmpeg give up a little early or late, each by its own clock.
            if connections.failure is None and self._left <= self._seconds * 0.1:
                within = f"within {self._seconds:g} s"
                if connections.status is None:
                    raise SourceLost(
                        f"{camera.name} did not answer {within}", code="no-answer", source=camera.name, within=within
                    ) from None
                if unanswered := connections.unanswered:
                    raise SourceLost(
                        f"{camera.name} answers, but not to {unanswered}: nothing came {within}",
                        code="no-further-answer",
                        source=camera.name,
                        unanswered=unanswered,
                        within=within,
                    ) from None
            raise opening_error(camera.name, connections, logged_in=bool(camera.login)) from None


@contextmanager
def _closed_on_failure(connections: Connections | NetworkCamera) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connections.close()
        raise
