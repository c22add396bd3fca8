"""A camera that sends MJPEG over HTTP, and one that sends nothing but a status."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from contracts.spec import Capture
from services.kit.codec import Image, encode
from tests.support.clips import numbered_picture


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
                jpeg = encode(picture(number), Capture()).jpeg
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
