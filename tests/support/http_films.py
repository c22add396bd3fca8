"""Films that an HTTP server sends as cameras do: each part when it was taken, or as HLS in segments."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av

_WINDOW = 5
"""Segments that a playlist names, as an encoder's does."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The parts sent at an address, one after the other, `fps` of them a second; a rate of 0 knows no hurry."""

    kind: str
    parts: Sequence[bytes]
    fps: float


def by_packet(path: Path, kind: str, fps: float) -> Sent:
    """A file that is sent packet by packet."""
    with closing(av.open(str(path))) as container:
        video = container.streams.video[0]
        at = sorted(packet.pos for packet in container.demux(video) if packet.size and packet.pos is not None)
    data = path.read_bytes()
    cuts = [0, *at[1:], len(data)]
    return Sent(kind, [data[begin:end] for begin, end in itertools.pairwise(cuts)], fps)


def as_motion_jpeg(pictures: Sequence[bytes], fps: float) -> Sent:
    """Pictures that are sent one by one."""
    head = "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"
    parts = [head.format(len(one)).encode() + one + b"\r\n" for one in pictures]
    return Sent("multipart/x-mixed-replace; boundary=frame", parts, fps)


class Playlist:
    """HLS: a segment is there when it is over, from the moment on at which the playlist is first asked for."""

    def __init__(self, segments: Sequence[bytes], seconds: float) -> None:
        self.segments, self._seconds = segments, seconds
        self._began: float | None = None

    def text(self) -> bytes:
        """The playlist as it is now; two segments are there from the beginning."""
        now = time.monotonic()
        self._began = self._began or now
        there = min(len(self.segments), 2 + int((now - self._began) / self._seconds))
        first = max(0, there - _WINDOW)
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:3",
            f"#EXT-X-TARGETDURATION:{round(self._seconds)}",
            f"#EXT-X-MEDIA-SEQUENCE:{first}",
            *(f"#EXTINF:{self._seconds:.3f},\nsegment/{number}.ts" for number in range(first, there)),
        ]
        if there == len(self.segments):
            lines.append("#EXT-X-ENDLIST")
        return "\n".join([*lines, ""]).encode()


@contextmanager
def http_films(films: Mapping[str, Sent | Playlist]) -> Iterator[Callable[[str], str]]:
    """Serve until the context is left; what is handed over gives the address of a film."""
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, _, rest = self.path.strip("/").partition("/")
            film = films[name]
            try:
                if isinstance(film, Sent):
                    self._send(film)
                elif rest.startswith("segment/"):
                    self._answer("video/mp2t", film.segments[int(rest.removeprefix("segment/").removesuffix(".ts"))])
                else:
                    self._answer("application/vnd.apple.mpegurl", film.text())
            except OSError:  # who asked has gone
                return

        def _answer(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _send(self, film: Sent) -> None:
            self.send_response(200)
            self.send_header("Content-Type", film.kind)
            self.end_headers()
            began = time.monotonic()
            for number, part in enumerate(film.parts):
                due = began + number / film.fps if film.fps else began
                if done.wait(max(0.0, due - time.monotonic())):
                    return
                self.wfile.write(part)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name for it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield lambda name: f"http://127.0.0.1:{server.server_port}/{name}/stream"
    finally:
        done.set()
        server.shutdown()
        thread.join()
        server.server_close()
