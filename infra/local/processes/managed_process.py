"""The common part of servers and services: a process that is started, stopped and killed any number of times."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from infra.local.errors import LocalError
from infra.local.processes.process import end, kill_session


class ManagedProcess:
    """A process that always runs on the same port, with the same log. Subclasses start it, and set `_process`.

    Attributes:
        name: for messages.
        port: of 127.0.0.1, on which it answers.
        log: file of its output.
        wanted: true from a start to the next stop; a kill changes nothing.
    """

    stop_signal = signal.SIGTERM
    stop_timeout = 10.0
    """Seconds after which `stop` kills it."""

    def __init__(self, name: str, port: int, log: Path) -> None:
        self.name, self.port, self.log = name, port, log
        self.wanted = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """True while the process exists."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            LocalError: it was never started.
        """
        if self._process is None:
            raise LocalError(f"{self.name} was not started")
        return self._process.pid

    def stop(self) -> None:
        """End it in order, and kill it after `stop_timeout`."""
        self.wanted = False
        if self._process is not None:
            end(self._process, self.stop_signal, timeout=self.stop_timeout)

    def kill(self) -> None:
        """Send SIGKILL to it and to all processes of its session."""
        if self._process is not None:
            kill_session(self._process)
