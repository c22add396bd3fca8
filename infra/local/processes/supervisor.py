"""Restarts processes that died, with growing delays, and reports it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from infra.local.errors import LocalError

POLL_INTERVAL = 0.1
MAX_DELAY = 30.0
STABLE_AFTER = 60.0
"""Seconds of running after which the delay starts from the beginning."""


class Supervised(Protocol):
    """A process that can be restarted."""

    @property
    def name(self) -> str:
        """Its name, for messages."""

    @property
    def wanted(self) -> bool:
        """True if it should run."""

    @property
    def running(self) -> bool:
        """True if it runs."""

    def start(self) -> object:
        """Start it."""


@dataclass
class _Watched:
    process: Supervised
    delay: float
    started_at: float
    restart_at: float | None = None


class Supervisor:
    """Watches processes from its own thread.

    Args:
        processes: in order of restarts: those that others depend on come first.
        tell: prints a line for each death and each failed restart.
        chores: called every few seconds.
        first_delay: seconds before the first restart; each further one waits twice as long, at most 30 s.
    """

    def __init__(
        self,
        processes: Sequence[Supervised],
        tell: Callable[[str], None],
        chores: Callable[[], None],
        *,
        first_delay: float = 0.5,
    ) -> None:
        now = time.monotonic()
        self._watched = [_Watched(process, delay=first_delay, started_at=now) for process in processes]
        self._tell, self._chores, self._first_delay = tell, chores, first_delay
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop restarting processes. Waits for a start in progress."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        next_chores = 0.0
        while not self._ending.wait(POLL_INTERVAL):
            now = time.monotonic()
            for watched in self._watched:
                if watched.process.wanted and not watched.process.running and not self._ending.is_set():
                    self._restart(watched, now)
            if now >= next_chores:
                with contextlib.suppress(OSError):  # a full disk or a missing folder must not end the supervision
                    self._chores()
                next_chores = now + 5.0

    def _restart(self, watched: _Watched, now: float) -> None:
        name = watched.process.name
        if watched.restart_at is None:
            if now - watched.started_at > STABLE_AFTER:
                watched.delay = self._first_delay
            watched.restart_at = now + watched.delay
            self._tell(f"{name} ended; it is started again in {watched.delay:g} s")
            watched.delay = min(watched.delay * 2, MAX_DELAY)
        elif now >= watched.restart_at:
            watched.restart_at = None
            watched.started_at = now
            try:
                watched.process.start()
            except (LocalError, OSError) as error:
                self._tell(f"{name} can't be started again: {error}")
