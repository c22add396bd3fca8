"""A service as a process."""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from contracts.streams import Owner
from infra.local.errors import LocalError
from infra.local.processes.managed_process import ManagedProcess
from infra.local.processes.process import spawn, tail
from infra.local.processes.unprivileged import ROOT, named_files, own_folder, program_folders, service_user


class Service(ManagedProcess):
    """A service's process.

    Args:
        name: its name, as in its log; `detector-2` is the second detector.
        owner: the service that it runs.
        environment: its whole environment.
        port: on which it answers /livez and /readyz.
        log: file of its output.
        own: its own folder, which it may write; None if it has none.
    """

    def __init__(
        self, name: str, owner: Owner, environment: Mapping[str, str], port: int, log: Path, own: Path | None = None
    ) -> None:
        super().__init__(name, port, log)
        self.owner = owner
        self.reads: tuple[Path, ...] = ()
        """Further files that it must reach, even in a folder that is closed to its user."""
        self._own = own
        self._environment = dict(environment)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the process, without waiting until it is ready."""
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
        """Send SIGTERM without waiting; `stop` waits."""
        self.wanted = False
        if self._process is not None and self.running:
            self._process.terminate()

    def ready(self) -> bool:
        """Ask /readyz if it is ready."""
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
        """Return its answer at /readyz, as one line."""
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
