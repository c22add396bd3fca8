"""One service as a process of its own."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from contracts.streams import Owner
from infra.local.errors import LocalError
from infra.local.processes.process import end, kill_session, spawn, tail
from infra.local.processes.unprivileged import ROOT, named_files, own_folder, program_folders, service_user

STOP_TIMEOUT = 10.0


class Service:
    """A service's process, started and stopped any number of times, always on the same port.

    Args:
        name: its own name, as in its log; `detector-2` is the second of the detectors.
        owner: which service it is.
        environment: its whole environment.
        port: where it answers /livez and /readyz.
        log: where its output goes.
        own: a folder of its own, which it may write, if it has one.
    """

    def __init__(
        self, name: str, owner: Owner, environment: Mapping[str, str], port: int, log: Path, own: Path | None = None
    ) -> None:
        self.name, self.owner, self.port, self.log = name, owner, port, log
        self.reads: tuple[Path, ...] = ()
        """Further files that it must reach, also where they lie in a folder that is closed to it."""
        self._own = own
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self.wanted = False
        """Whether it should run: started, and not stopped since. A kill changes nothing."""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's id.

        Raises:
            LocalError: it was never started.
        """
        if self._process is None:
            raise LocalError(f"{self.name} was not started")
        return self._process.pid

    def start(self) -> None:
        """Start the process; does not wait until it is ready."""
        if not self.running:
            command = [sys.executable, "-m", f"services.{self.owner.value}"]
            user = service_user(self.owner)
            self._process = spawn(
                command,
                log=self.log,
                env=self._environment,
                cwd=ROOT,
                user=user,
                reads=[*program_folders(), *named_files(self._environment), *filter(Path.exists, self.reads)],
                writes=[own_folder(self._own, user)] if self._own else [],
            )
        self.wanted = True

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting: `stop` waits."""
        self.wanted = False
        if self._process is not None and self.running:
            self._process.terminate()

    def stop(self) -> None:
        """End it in order; what does not end within 10 s is killed."""
        self.wanted = False
        if self._process is not None:
            end(self._process, signal.SIGTERM, patience=STOP_TIMEOUT)

    def kill(self) -> None:
        """SIGKILL, to it and whatever it started."""
        if self._process is not None:
            kill_session(self._process)

    def ready(self) -> bool:
        """Whether /readyz says so now."""
        return self._answer()[0] == 200

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Wait until it is ready.

        Raises:
            LocalError: it ended, or was not ready in time; says why.
        """
        deadline = time.monotonic() + timeout
        while not self.ready():
            if not self.running:
                raise LocalError(f"{self.name} ended; {self.log} says: {tail(self.log)}")
            if time.monotonic() > deadline:
                raise LocalError(f"{self.name} is not ready after {timeout:.0f} s: {self.problem()}; see {self.log}")
            time.sleep(0.05)

    def problem(self) -> str:
        """What it says at /readyz, in one line."""
        return self._answer()[1]

    def _answer(self) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            return response.status, " ".join(response.read(2000).decode(errors="replace").split())
        except (OSError, http.client.HTTPException) as error:
            return 0, f"no answer ({error})"
        finally:
            connection.close()
