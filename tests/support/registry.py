"""An image registry on this machine, which speaks what real ones do: tokens for anybody, manifests by tag, digests."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

INDEX = "application/vnd.oci.image.index.v1+json"
TOKEN = "a-token-for-anybody"


@dataclass
class Registry:
    """A registry's contents and behaviour; tests change both.

    Attributes:
        manifests: the bytes of each, by `repository:tag`.
        said: in place of the digest that a manifest has.
        scheme: by which it says that one authenticates; None lets everybody in.
        content_type: of what it answers with.
    """

    manifests: dict[str, bytes] = field(default_factory=dict)
    said: str | None = None
    scheme: str | None = "Bearer"
    content_type: str = INDEX
    host: str = ""
    scopes: list[str] = field(default_factory=list)

    def push(self, image: str, content: str = "one") -> str:
        """Hold an image; gives its digest."""
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [content]}).encode()
        self.manifests[image] = body
        return f"sha256:{hashlib.sha256(body).hexdigest()}"

    def name(self, image: str) -> str:
        """An image's name in full."""
        return f"{self.host}/{image}"


@contextmanager
def registry() -> Iterator[Registry]:
    """A registry that listens on 127.0.0.1."""
    held = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/token":
                held.scopes += parse_qs(url.query).get("scope", [])
                return self._answer(200, json.dumps({"token": TOKEN}).encode(), {"Content-Type": "application/json"})
            repository, _, tag = url.path.removeprefix("/v2/").partition("/manifests/")
            if held.scheme and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                realm = f'realm="http://{held.host}/token",service="stand-in",scope="repository:{repository}:pull"'
                return self._answer(401, b"{}", {"WWW-Authenticate": f"{held.scheme} {realm}"})
            body = held.manifests.get(f"{repository}:{tag}")
            if body is None or INDEX not in self.headers.get("Accept", ""):
                return self._answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', {})
            digest = held.said or f"sha256:{hashlib.sha256(body).hexdigest()}"
            return self._answer(200, body, {"Content-Type": held.content_type, "Docker-Content-Digest": digest})

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name it has above
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield held
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
