"""Which pools some replica has the model for: one that has it not must not tell a camera that nobody has.

leases   pool.yolo26n.open.detector-2  =  detector-2      I have this pool's model open
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from contracts.streams import LEASES
from services.kit.nats.bus import Bus
from services.kit.nats.lease import RENEWALS, Lease


class Colleagues:
    """The replicas of the detector, as far as it matters which models they have."""

    def __init__(self, bus: Bus, replica: str) -> None:
        self._bus, self._replica = bus, replica

    async def tell(self, pool: str) -> None:
        """Let the others know that this replica has the pool's model, until cancelled."""
        lease = Lease(await self._bus.bucket(LEASES), _key(pool, self._replica), self._replica, LEASES.ttl)
        try:
            while True:
                with suppress(NatsError, TimeoutError, OSError):  # it is said again soon
                    await lease.renew()
                await asyncio.sleep(LEASES.ttl / RENEWALS)
        finally:
            await lease.give_back()

    async def have(self, pool: str) -> bool:
        """Whether any replica has the pool's model; one that left is believed to for some seconds. Waits for nothing.

        Raises:
            NatsError, TimeoutError, OSError: the broker does not say.
        """
        keys = f"$KV.{LEASES.name}.{_key(pool, '*')}"
        try:
            return bool((await self._bus.js.stream_info(f"KV_{LEASES.name}", subjects_filter=keys)).state.subjects)
        except NotFoundError:
            return False  # the tracker has not made the bucket yet


def _key(pool: str, replica: str) -> str:
    return f"pool.{pool}.open.{replica}"
