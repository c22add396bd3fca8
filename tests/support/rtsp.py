"""A real RTSP camera in a process of its own, that can be cut, brought back, and made to hang."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import pytest

PACKAGES = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
SERVER = Path(__file__).with_name("rtsp_server.py")
PYTHON = "/usr/bin/python3"
"""Debian's own: it is the one that has the GStreamer bindings."""
STARTING_SECONDS = 30.0
"""GStreamer looks through its plugins at the first start on a machine."""


class RtspCamera:
    """`rtsp://127.0.0.1:…/cam`. Use it as a context; it is switched on at once.

    Args:
        options: of the server.
        streams: pipelines, by the path that each is served at beside `/cam`.
    """

    def __init__(self, *options: str, streams: Mapping[str, str] | None = None) -> None:
        named = [word for name, pipeline in (streams or {}).items() for word in ("--stream", f"{name}={pipeline}")]
        self._options = (*options, *named)
        self._process: subprocess.Popen[str] | None = None
        self.address = ""
        self.switch_on()

    def switch_on(self) -> None:
        """Start serving; after a cut at the same address as before."""
        port = str(urlsplit(self.address).port) if self.address else "0"
        command = [PYTHON, str(SERVER), "--port", port, *self._options]
        if not Path(PYTHON).exists():
            pytest.fail(f"tests need a real RTSP server: apt-get install {PACKAGES}")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stderr is not None
        ready, _, _ = select.select([process.stdout], [], [], STARTING_SECONDS)
        self.address = process.stdout.readline().strip() if ready else ""
        if not self.address:
            process.kill()
            _, said = process.communicate()
            pytest.fail(f"tests need a real RTSP server ({said.strip()}): apt-get install {PACKAGES}")
        self._process = process

    def cut(self) -> None:
        """Take its power away."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def hang(self) -> None:
        """Let it keep its connections and say nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def at(self, name: str) -> str:
        """The address of one of its streams."""
        return urljoin(self.address, name)

    def with_login(self, user: str, password: str) -> str:
        """The address with a user name and password in it."""
        return self.address.replace("rtsp://", f"rtsp://{user}:{password}@")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
