"""The smallest service there is, run as a process of its own by the tests of how every service runs."""

from __future__ import annotations

import asyncio
import os
import sys

from contracts.streams import CROSSINGS, Owner
from services.kit.nats.bus import Bus
from services.kit.service import Health, serve
from services.kit.settings import ServiceSettings


async def work(bus: Bus, health: Health) -> None:
    """Wait to be ended, and say so while the connection is still there; `BREAK` in the environment makes it fail.

    `TRESPASS` makes it publish, again and again, and listen, where it has no business.
    """

    async def check() -> None:
        if os.environ.get("UNWELL"):
            raise RuntimeError("the model is missing")

    health.checks["model"] = check
    if os.environ.get("BREAK"):
        raise RuntimeError("broken beyond repair")
    print("working", flush=True)
    try:
        if os.environ.get("TRESPASS"):
            await bus.client.subscribe("_INBOX_api.>")
        while os.environ.get("TRESPASS"):
            await bus.client.publish("metrica.live.counts.Shop", b"made up")
            await asyncio.sleep(0.02)
        await asyncio.Event().wait()
    finally:
        async with asyncio.timeout(5):
            if bus.connected:
                await bus.publish("metrica.live.crossings.shop.door", b"last words")
        print("left in order", flush=True)


if __name__ == "__main__":
    sys.exit(serve(Owner.TRACKER, ServiceSettings(), work, [CROSSINGS.name]))  # type: ignore[func-returns-value]  # None: all is well
