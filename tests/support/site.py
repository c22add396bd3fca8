"""A web server that shows what it is told to, on any address of loopback, and remembers who asked for what."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Body = bytes | Iterator[bytes]
Page = bytes | Callable[[], Iterator[bytes]]


@dataclass
class Site:
    """Pages by path; a page may go on for ever.

    Attributes:
        asked: the paths that were asked for, in order.
        arrived: is set when somebody asked for anything.
    """

    base: str
    pages: dict[str, Page] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    heads: list[Mapping[str, str]] = field(default_factory=list)

    def url(self, path: str) -> str:
        """The address of a page."""
        return self.base + path

    def show(self, path: str, page: Page, kind: str = "application/octet-stream") -> str:
        """Have a page, and give its address."""
        self.pages[path], self.kinds[path] = page, kind
        return self.url(path)

    def redirect(self, path: str, to: str) -> str:
        """Send who asks for a page elsewhere; gives the page's address."""
        self.moved[path] = to
        return self.url(path)


@contextmanager
def site(host: str = "127.0.0.1", wrap: Callable[[ThreadingHTTPServer], str] | None = None) -> Iterator[Site]:
    """Serve until the context is left; `wrap` may put TLS around the server, and gives the scheme then."""
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            shown.asked.append(self.path)
            shown.heads.append(dict(self.headers.items()))
            if self.path in shown.moved:
                self.send_response(302)
                self.send_header("Location", shown.moved[self.path])
                self.end_headers()
                return
            page = shown.pages.get(self.path)
            if page is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", shown.kinds[self.path])
            if isinstance(page, bytes):
                self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            try:
                for piece in [page] if isinstance(page, bytes) else page():
                    if done.is_set():
                        return
                    self.wfile.write(piece)
            except OSError:
                return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name for it
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = Server((host, 0), Handler)
    scheme = wrap(server) if wrap else "http"
    shown = Site(f"{scheme}://{host}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield shown
    finally:
        done.set()
        server.shutdown()
        thread.join()
        server.server_close()
