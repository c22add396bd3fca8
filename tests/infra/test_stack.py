"""The whole stack in a test's hands."""

from __future__ import annotations

import time
from pathlib import Path

from contracts.streams import Owner
from infra.local.processes.supervisor import Supervised
from infra.local.stack import Stack


def test_each_process_can_be_killed_alone_and_comes_back_where_it_was(tmp_path: Path) -> None:
    said: list[str] = []
    with Stack(tmp_path, replicas={Owner.DETECTOR: 2}, durable=False, tell=said.append) as stack:
        assert list(stack.services) == ["ingest", "detector", "detector-2", "tracker", "persistence", "api", "replay"]
        for victim in (stack.services["detector-2"], stack.nats, stack.postgres):
            pid = victim.pid
            victim.kill()
            deadline = time.monotonic() + 30
            while not (victim.running and victim.pid != pid):
                assert time.monotonic() < deadline, said
                time.sleep(0.05)
            assert f"{victim.name} ended; it is started again in 0.5 s" in said
        for service in stack.services.values():
            service.wait_ready(30)
    everything: list[Supervised] = [stack.nats, stack.postgres, *stack.services.values()]
    assert not any(process.running for process in everything)
