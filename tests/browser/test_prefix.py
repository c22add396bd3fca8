"""The dashboard below a path prefix, which a proxy takes off: nobody configures it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, expect

from infra.local.ports import free_port
from tests.browser.conftest import Shop
from tests.browser.test_dashboard import LONG, is_live, shows

PREFIX = "/metrica"


def proxy(to: int) -> type[BaseHTTPRequestHandler]:
    """A proxy that takes the prefix off and hands everything on as it comes, live streams too."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self.send_error(404)
                return
            asked = http.client.HTTPConnection("localhost", to)
            asked.request("GET", self.path.removeprefix(PREFIX), headers=dict(self.headers))
            answer = asked.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.end_headers()
            while part := answer.read1():
                self.wfile.write(part)
                self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    return Proxy


@pytest.fixture
def outside(shop: Shop) -> Iterator[str]:
    """The dashboard's address at the proxy."""
    server = ThreadingHTTPServer(("localhost", free_port()), proxy(shop.port))
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://localhost:{server.server_port}{PREFIX}"
    server.shutdown()
    serving.join()
    server.server_close()


def test_below_a_path_prefix(shop: Shop, outside: str, browser: Browser) -> None:
    shop.set_up()
    shop.cross(2)
    shop.set_up("gate", store="mall", store_name="A Mall")
    with browser.new_context() as context:
        page = context.new_page()
        failed: list[str] = []
        page.on("response", lambda answer: failed.append(answer.url) if answer.status == 404 else None)
        page.goto(f"{outside}/stores/shop")
        shows(page, ins=2, out=0, inside=2)
        is_live(page)

        page.get_by_label("Metrica, live dashboard").click()
        page.get_by_role("link", name="The Shop").click(timeout=LONG)
        shows(page, ins=2, out=0, inside=2)
        assert page.url == f"{outside}/stores/shop"
        page.goto(f"{outside}/docs/")
        expect(page.get_by_test_id("route").first).to_be_visible(timeout=LONG)
        assert [url for url in failed if "frame.jpg" not in url] == []
