"""Mischief to the processes of a stack: planned by a seed alone, done at its moments, and told afterwards."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import psutil

from infra.local.errors import LocalError
from infra.local.processes.nats import NatsServer
from infra.local.processes.postgres import PostgresServer
from infra.local.processes.service import Service
from infra.local.stack import Stack
from tests.support.freezing import freeze, thaw

Process = Service | NatsServer | PostgresServer

SERVICES: Final = (
    *("ingest", "ingest-2", "detector", "detector-2", "detector-3", "tracker", "tracker-2"),
    *("persistence", "persistence-2", "api", "api-2"),
)
SERVERS: Final = ("nats", "postgres")
VICTIMS: Final = {**dict.fromkeys(SERVICES, 1.0), "nats": 2.0, "postgres": 1.5}
"""Who is struck, and how often beside the others."""
PAUSE: Final = (0.8, 2.2)
"""Seconds between two strikes."""
OUTAGES: Final = ((0.1, 1.0), (1.0, 4.0), (6.0, 9.0))
"""Seconds that a victim is away: hardly noticed, noticed, and longer than leases (5 s) and acknowledgements wait."""
ODDS: Final = (4, 4, 2)


class How(StrEnum):
    """The kinds of mischief to a victim."""

    KILL = "SIGKILL"
    STOP = "SIGSTOP"


@dataclass(frozen=True, slots=True)
class Strike:
    """One process is struck `at` so many seconds, and comes back after `lasts` more."""

    at: float
    victim: str
    how: How
    lasts: float

    @property
    def over(self) -> float:
        """The time at which the victim is back, seconds."""
        return self.at + self.lasts

    def __str__(self) -> str:
        return f"{self.how} {self.victim} for {self.lasts:.1f} s"


def plan(seed: int, until: float) -> list[Strike]:
    """The strikes of a seed, in the order of time, the last before `until`; who is away is not struck again."""
    chance = random.Random(seed)
    strikes: list[Strike] = []
    back = dict.fromkeys(VICTIMS, 0.0)
    at = chance.uniform(*PAUSE)
    while at < until:
        there = {victim: odds for victim, odds in VICTIMS.items() if back[victim] <= at}
        victim = chance.choices(list(there), list(there.values()))[0]
        lasts = chance.uniform(*chance.choices(OUTAGES, ODDS)[0])
        strikes.append(Strike(at, victim, chance.choice(list(How)), lasts))
        back[victim] = strikes[-1].over + 0.5
        at += chance.uniform(*PAUSE)
    return strikes


@dataclass
class Story:
    """The events and their times, in the words of everybody who did something; shown where a test fails."""

    began: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Add what happens now."""
        self.lines.append(f"{time.monotonic() - self.began:6.2f} s  {line}")

    def __str__(self) -> str:
        return "\n".join(self.lines)


class Mischief:
    """Strikes, in a thread of the caller's.

    Args:
        stack: runs, and starts nothing again by itself.
        strikes: what to do.
    """

    def __init__(self, stack: Stack, strikes: Sequence[Strike]) -> None:
        self.processes: dict[str, Process] = {**stack.services, "nats": stack.nats, "postgres": stack.postgres}
        self.strikes, self.story = strikes, Story()
        self.began = 0.0
        """When `run` was called, seconds since the epoch."""
        self._locks = {name: threading.Lock() for name in self.processes}
        self._stopped: dict[str, list[psutil.Process]] = {}
        self._ending = threading.Event()

    def run(self) -> None:
        """Do it all, from now on; returns when everybody is back."""
        began, self.began = time.monotonic(), time.time()
        moments = [(strike.at, self._strike, strike) for strike in self.strikes]
        moments += [(strike.over, self._bring_back, strike) for strike in self.strikes]
        try:
            # A server takes a while to start: the others are not kept waiting for it.
            with ThreadPoolExecutor(len(SERVERS)) as self._starting:
                for moment, act, strike in sorted(moments, key=lambda one: one[0]):
                    if self._ending.wait(max(0.0, began + moment - time.monotonic())):
                        return
                    act(strike)
        finally:
            for family in self._stopped.values():
                thaw(family)

    def end(self) -> None:
        """Stop early; whoever is stopped goes on."""
        self._ending.set()

    def calm(self, since: float, until: float) -> float:
        """For how many seconds between two moments (seconds since the epoch) everybody was there."""
        moment, calm = since, 0.0
        for strike in self.strikes:  # in the order of time
            calm += max(0.0, min(self.began + strike.at, until) - moment)
            moment = max(moment, min(self.began + strike.over, until))
        return calm + max(0.0, until - moment)

    def fallen(self) -> list[str]:
        """The processes that ended, though nobody killed them."""
        return [name for name, process in self.processes.items() if process.wanted and not process.running]

    def _strike(self, strike: Strike) -> None:
        process = self.processes[strike.victim]
        if not process.running:
            self.story.tell(f"{strike.victim} has ended by itself")
            return
        self.story.tell(str(strike))
        if strike.how is How.KILL:
            process.kill()
            return
        self._stopped[strike.victim] = freeze(process.pid)

    def _bring_back(self, strike: Strike) -> None:
        if strike.how is How.STOP:
            thaw(self._stopped.pop(strike.victim, ()))
            self.story.tell(f"{strike.victim} is back")
        else:
            self._starting.submit(self._start, strike.victim)

    def _start(self, name: str) -> None:
        with self._locks[name]:
            try:
                self.processes[name].start()
                self.story.tell(f"{name} is back")
            except LocalError as error:  # it was struck again while it started
                self.story.tell(str(error))


def last_words(log: Path, lines: int = 25) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
