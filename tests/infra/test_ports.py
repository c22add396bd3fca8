"""Ports for servers that are about to start."""

from __future__ import annotations

import http.server
import subprocess
import sys

from infra.local.ports import free_port, is_free


def test_nobody_else_is_given_a_port_before_its_server_listens() -> None:
    ask = "from infra.local.ports import _reserve; import sys; print(_reserve(int(sys.argv[1])))"
    port = free_port()
    other = subprocess.run([sys.executable, "-c", ask, str(port)], capture_output=True, text=True, check=True)

    assert other.stdout.strip() == "None"


def test_a_server_can_listen_on_it() -> None:
    port = free_port()
    with http.server.HTTPServer(("127.0.0.1", port), http.server.SimpleHTTPRequestHandler):
        assert not is_free(port)
    assert is_free(port)
