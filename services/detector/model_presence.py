"""Presence of models: the pools whose model some replica has open.

A replica without a model reports "no model" to cameras only when no other replica has it. Each replica keeps a lease
for every pool whose model it has open:

    leases   pool.yolo26n.open.detector-2  =  detector-2
"""

from __future__ import annotations

import asyncio

from nats.js.errors import NotFoundError

from contracts.streams import LEASES
from services.kit.nats.bus import Bus
from services.kit.nats.leases.lease import hold


class ModelPresence:
    """The models that the detector's replicas have open, as seen and announced by one of them."""

    def __init__(self, bus: Bus, replica: str) -> None:
        self._bus, self._replica = bus, replica

    async def announce(self, pool: str) -> None:
        """Announce that this replica has the pool's model open, until cancelled."""
        async with hold(self._bus, _key(pool, self._replica), self._replica):
            await asyncio.Event().wait()

    async def anywhere(self, pool: str) -> bool:
        """Tell whether any replica has the pool's model open. A replica that crashed counts until its lease expires.

        Raises:
            NatsError, TimeoutError, OSError: the broker does not answer.
        """
        keys = f"$KV.{LEASES.name}.{_key(pool, '*')}"
        try:
            return bool((await self._bus.js.stream_info(f"KV_{LEASES.name}", subjects_filter=keys)).state.subjects)
        except NotFoundError:
            return False  # the tracker has not created the bucket yet


def _key(pool: str, replica: str) -> str:
    return f"pool.{pool}.open.{replica}"
