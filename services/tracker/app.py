"""The tracker service: a fair part of the partitions, every camera in them kept from its checkpoint on."""

from __future__ import annotations

from contracts.identity import LIVE, PARTITIONS
from contracts.streams import CROSSINGS, DETECTIONS, PATHS, Owner
from services.kit.bus import Bus
from services.kit.lease import Lease
from services.kit.logs import logger
from services.kit.service import Health, serve
from services.kit.settings import ServiceSettings
from services.kit.share import Share
from services.kit.specs import Specs
from services.tracker.checkpoint import Fenced
from services.tracker.partition import Partition

log = logger()


async def track(bus: Bus, replica: str) -> None:
    """Work on this replica's part of the partitions until cancelled; then hand them over."""
    await bus.wait_for(DETECTIONS)
    specs = Specs(bus)

    async def keep(number: str, lease: Lease) -> None:
        try:
            await Partition(bus, specs, LIVE, int(number), replica, lambda: lease.held).run()
        except Fenced as reason:
            # It had been stopped for longer than its lease, or somebody works without one: what is stored is the truth.
            log.warning("another tracker was at work here; taking it up from what is stored", reason=str(reason))

    share = Share(bus, Owner.TRACKER.value, replica, keep)
    share.want([str(number) for number in range(PARTITIONS)])
    await share.run()


def main() -> None:
    """Run the tracker until SIGTERM."""
    settings = ServiceSettings()

    async def work(bus: Bus, _health: Health) -> None:
        await track(bus, settings.replica)

    serve(Owner.TRACKER, settings, work, [DETECTIONS.name, PATHS.name, CROSSINGS.name])
