"""Users of the processor meanwhile: groups of processes, and the rest of the machine."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


class Processor:
    """Begins to count at once.

    Args:
        groups: process ids by name; None is this process.
    """

    def __init__(self, groups: Mapping[str, Sequence[int | None]]) -> None:
        self._groups = {name: [pid or os.getpid() for pid in pids] for name, pids in groups.items()}
        self._began, self._all, self._own = time.monotonic(), _machine(), self._used()

    def look(self) -> tuple[dict[str, float], float]:
        """Seconds of processor that each group has used since the beginning, and how many cores all others used."""
        own = {name: used - self._own[name] for name, used in self._used().items()}
        others = _machine() - self._all - sum(own.values())
        return own, max(0.0, others / (time.monotonic() - self._began))

    def _used(self) -> dict[str, float]:
        return {name: sum(map(_process, pids)) for name, pids in self._groups.items()}


def _machine() -> float:
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = Path("/proc/stat").read_text().split()[1:11]
    return sum(map(int, (user, nice, system, irq, softirq, steal))) / _TICKS


def _process(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
