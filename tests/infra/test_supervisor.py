"""A process that dies is started again, a stopped one is not."""

from __future__ import annotations

import queue

from infra.local.errors import LocalError
from infra.local.processes.supervisor import Supervisor

PATIENCE = 10.0


class FakeProcess:
    """Dies when told; `starts` gets an item at each start."""

    name = "tracker"

    def __init__(self) -> None:
        self.wanted = self.running = True
        self.starts: queue.Queue[None] = queue.Queue()
        self.refuses = False

    def start(self) -> None:
        self.starts.put(None)
        if self.refuses:
            raise LocalError("no room")
        self.running = True


def _watched(process: FakeProcess) -> tuple[Supervisor, list[str]]:
    said: list[str] = []
    supervisor = Supervisor([process], said.append, lambda: None, first_delay=0.01)
    supervisor.start()
    return supervisor, said


def test_a_death_is_told_and_mended() -> None:
    process = FakeProcess()
    supervisor, said = _watched(process)
    process.running = False
    process.starts.get(timeout=PATIENCE)
    supervisor.stop()
    assert process.running
    assert said == ["tracker ended; it is started again in 0.01 s"]


def test_delays_grow_while_it_keeps_dying_and_a_refused_start_is_tried_again() -> None:
    process = FakeProcess()
    process.refuses = True
    supervisor, said = _watched(process)
    process.running = False
    for _ in range(3):
        process.starts.get(timeout=PATIENCE)
    supervisor.stop()
    assert [line for line in said if "ended" in line][:3] == [
        f"tracker ended; it is started again in {delay} s" for delay in (0.01, 0.02, 0.04)
    ]
    assert "tracker can't be started again: no room" in said


def test_what_was_stopped_stays_so() -> None:
    process = FakeProcess()
    supervisor, said = _watched(process)
    process.wanted = False
    process.running = False
    other = FakeProcess()
    second, _ = _watched(other)  # a round of the same length, so that the first had its chance
    other.running = False
    other.starts.get(timeout=PATIENCE)
    supervisor.stop()
    second.stop()
    assert said == []
    assert process.starts.empty()
