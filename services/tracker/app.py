"""The tracker service: every partition's cameras, each kept from its checkpoint on."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from contracts.identity import LIVE, PARTITIONS
from contracts.streams import CROSSINGS, DETECTIONS, PATHS, Owner
from services.kit.bus import Bus
from services.kit.logs import logger
from services.kit.service import Health, serve
from services.kit.settings import ServiceSettings
from services.kit.specs import Specs
from services.tracker.checkpoint import Fenced
from services.tracker.partition import Partition

log = logger()


async def track(bus: Bus, health: Health) -> None:
    """Work on all partitions until cancelled. Partitions that another tracker took over are left to it."""
    await bus.wait_for(DETECTIONS)
    specs, token = Specs(bus), uuid4().hex
    fenced: set[int] = set()

    async def keep(number: int) -> None:
        try:
            await Partition(bus, specs, LIVE, number, token).run()
        except Fenced as reason:
            log.error("fenced: another tracker is at work; this one publishes nothing more", reason=str(reason))
            fenced.add(number)

    async def check() -> None:
        if fenced:
            raise RuntimeError(f"another tracker has taken over partitions {sorted(fenced)}: stop one of the two")

    health.checks["partitions"] = check
    async with asyncio.TaskGroup() as group:
        for number in range(PARTITIONS):
            group.create_task(keep(number), name=f"partition {number}")


def main() -> None:
    """Run the tracker until SIGTERM."""
    settings = ServiceSettings()
    serve(Owner.TRACKER, settings, track, [DETECTIONS.name, PATHS.name, CROSSINGS.name])
