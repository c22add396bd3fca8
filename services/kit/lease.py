"""Leases: who should do a piece of work that only one replica may do.

A lease is a key in a bucket whose entries expire: its holder writes it again and again, and whoever finds it gone takes
it. It says who should work; it proves nothing. What must not be done twice is fenced where it is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from nats.errors import Error as NatsError
from nats.js.errors import KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from contracts.streams import LEASES
from services.kit.bus import Bus
from services.kit.logs import logger

RENEW = LEASES.ttl / 3

log = logger()


@asynccontextmanager
async def hold(bus: Bus, name: str, token: str) -> AsyncIterator[asyncio.Event]:
    """Wait for a lease, and hold it. Yields an event that is set when the lease was lost to another.

    Args:
        bus: the connection.
        name: what is leased, a key such as `pool.motion`.
        token: who holds it, unique to this process.
    """
    leases = await bus.bucket(LEASES)
    lease = _Lease(leases, name, token)
    await lease.take()
    renewal = asyncio.create_task(lease.renew(), name=f"lease {name}")
    try:
        yield lease.lost
    finally:
        renewal.cancel()
        await asyncio.gather(renewal, return_exceptions=True)
        if not lease.lost.is_set():
            with suppress(NatsError, TimeoutError, OSError):
                await leases.delete(name, last=lease.revision)  # hands over at once; otherwise the entry expires


class _Lease:
    """One entry in the bucket, as this process wrote it last."""

    def __init__(self, leases: KeyValue, name: str, token: str) -> None:
        self._leases, self._name, self._token = leases, name, token.encode()
        self.revision = 0
        self.lost = asyncio.Event()

    async def take(self) -> None:
        told = False
        while True:
            try:
                self.revision = await self._leases.create(self._name, self._token)
            except KeyWrongLastSequenceError:
                if not told:
                    log.info("another replica holds the lease; standing by", lease=self._name)
                    told = True
            except (NatsError, TimeoutError, OSError) as error:
                log.warning("waiting for a lease", lease=self._name, reason=repr(error))
            else:
                return
            await asyncio.sleep(RENEW)

    async def renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW)
            try:
                self.revision = await self._leases.update(self._name, self._token, last=self.revision)
            except KeyWrongLastSequenceError:
                if not await self._still_ours():
                    log.warning("lease lost", lease=self._name)
                    self.lost.set()
                    return
            except (NatsError, TimeoutError, OSError) as error:
                log.warning("renewing a lease failed", lease=self._name, reason=repr(error))

    async def _still_ours(self) -> bool:
        """Whether a refused write was after one of our own, whose acknowledgement was lost."""
        try:
            entry = await self._leases.get(self._name)
        except (NatsError, TimeoutError, OSError):
            return False
        if entry.value != self._token or entry.revision is None:
            return False
        self.revision = entry.revision
        return True
