"""A camera that sends MJPEG over HTTP, and one that sends nothing but a status."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from contracts.spec import Capture
from services.kit.codec import Image, encode
from tests.support.clips import numbered_picture

_FRESH = 0.02
"""Seconds that a picture may be old when it is sent."""


@contextmanager
def http_camera(
    status: int = 200, fps: float = 30.0, picture: Callable[[int], Image] = numbered_picture
) -> Iterator[str]:
    """Serve until the context is left; the address is handed over. Each caller is shown pictures from number 0 on."""
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            number = 0
            while status == 200 and not done.wait(1 / fps):
                jpeg = _taken_now(picture, number)
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                except OSError:
                    return
                number += 1

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name for it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/video"
    finally:
        done.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _taken_now(picture: Callable[[int], Image], number: int) -> bytes:
    """A picture as JPEG. One that was held up while it was drawn is drawn anew: a camera has its own processor."""
    for _ in range(10):
        began = time.monotonic()
        jpeg = encode(picture(number), Capture()).jpeg
        if time.monotonic() - began < _FRESH:
            break
    return jpeg
