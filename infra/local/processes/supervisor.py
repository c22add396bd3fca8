"""Starts again what died, with growing delays, and says so."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from infra.local.errors import LocalError

LOOK_EVERY = 0.1
LONGEST_DELAY = 30.0
STEADY = 60.0
"""Seconds after which a process counts as well again: its next death is a first one."""


class Supervised(Protocol):
    """A process that can be started again."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def wanted(self) -> bool:
        """Whether it should run."""

    @property
    def running(self) -> bool:
        """Whether it does."""

    def start(self) -> object:
        """Start it."""


@dataclass
class _Watched:
    process: Supervised
    delay: float
    started_at: float
    restart_at: float | None = None


class Supervisor:
    """Watches processes from a thread of its own.

    Args:
        processes: in the order in which they are started again: what others need first.
        tell: gets a line for each death and each new start.
        chores: called every few seconds.
        first_delay: seconds before the first new start; each further one waits twice as long, at most 30 s.
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
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Start nothing any more. Waits for a start under way."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        next_chores = 0.0
        while not self._ending.wait(LOOK_EVERY):
            now = time.monotonic()
            for watched in self._watched:
                if watched.process.wanted and not watched.process.running and not self._ending.is_set():
                    self._mend(watched, now)
            if now >= next_chores:
                with contextlib.suppress(OSError):  # a full disk or a folder that is gone must not end the watch
                    self._chores()
                next_chores = now + 5.0

    def _mend(self, watched: _Watched, now: float) -> None:
        name = watched.process.name
        if watched.restart_at is None:
            if now - watched.started_at > STEADY:
                watched.delay = self._first_delay
            watched.restart_at = now + watched.delay
            self._tell(f"{name} ended; it is started again in {watched.delay:g} s")
            watched.delay = min(watched.delay * 2, LONGEST_DELAY)
        elif now >= watched.restart_at:
            watched.restart_at = None
            watched.started_at = now
            try:
                watched.process.start()
            except (LocalError, OSError) as error:
                self._tell(f"{name} can't be started again: {error}")
