"""The tracker service: works on its quota of the partitions, and resumes each camera from its checkpoint.

An item of the assignment is a partition of the live run, `17`, or of a run beside it, `night.17`, as far as the run has
cameras in it.
"""

from __future__ import annotations

import asyncio

from contracts.identity import PARTITIONS
from contracts.runs import Run, RunKind
from contracts.streams import CROSSINGS, DETECTIONS, PATHS, Owner
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.leases.assignment import Assignment
from services.kit.nats.leases.lease import Lease
from services.kit.nats.runs import Runs
from services.kit.service import Health, serve
from services.kit.settings import ServiceSettings
from services.tracker.checkpoint import Fenced
from services.tracker.partition import Partition
from services.tracker.source import DetectionSource

LIVE_ITEMS = frozenset(str(number) for number in range(PARTITIONS))

log = logger()


class TrackerService:
    """One replica."""

    def __init__(self, bus: Bus, replica: str) -> None:
        self._bus, self._replica = bus, replica
        self._live = DetectionSource.live(bus)
        self._runs = Runs()
        self._assignment = Assignment(bus, Owner.TRACKER.value, replica, self._keep)

    async def run(self) -> None:
        """Work on this replica's partitions until cancelled; then hand them over."""
        await self._bus.wait_for(DETECTIONS)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._runs.follow(self._bus))
            group.create_task(self._follow_runs())
            group.create_task(self._assignment.run())

    async def _follow_runs(self) -> None:
        async for _ in self._runs.changes():
            beside = {
                f"{run.name}.{number}"
                for run in self._runs.running.values()
                if _is_tracked(run)
                for number in run.partitions
            }
            self._assignment.set_items(LIVE_ITEMS | beside)

    async def _keep(self, item: str, lease: Lease) -> None:
        name, _, number = item.rpartition(".")
        run = self._runs.running.get(name)
        if name and run is None:
            return  # the run has just ended
        source = DetectionSource.of(self._bus, run) if run else self._live
        try:
            await Partition(self._bus, source, int(number), self._replica, lambda: lease.held).run()
        except Fenced as reason:
            # This process was suspended for longer than its lease, or another one works without a lease: the stored
            # checkpoint is the truth.
            log.warning("another tracker was at work here; taking it up from what is stored", reason=str(reason))


def _is_tracked(run: Run) -> bool:
    return run.kind is not RunKind.PATHS


def main() -> None:
    """Run the tracker until SIGTERM."""
    settings = ServiceSettings()

    async def work(bus: Bus, _health: Health) -> None:
        await TrackerService(bus, settings.replica).run()

    serve(Owner.TRACKER, settings, work, [DETECTIONS.name, PATHS.name, CROSSINGS.name])
