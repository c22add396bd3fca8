"""Leases: choose the one replica that should do an item of work.

A lease is a key in a bucket whose entries expire: its holder renews it again and again, and any replica that finds it
gone may take it. A lease makes double work unlikely, not impossible: results that must not be stored twice are fenced
where they are stored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from contracts.streams import LEASES, Bucket
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.tasks import cancel_and_wait

RENEWALS = 3
"""Renewals of a lease within its TTL."""

log = logger()


class Lease:
    """An entry of the bucket, as this process wrote it last.

    Args:
        leases: the bucket.
        name: key of the leased item, such as `pool.motion`.
        token: the unique name of this replica, the entry's value.
        ttl: of the bucket's entries, seconds.
    """

    def __init__(self, leases: KeyValue, name: str, token: str, ttl: float = LEASES.ttl) -> None:
        self._leases, self._name, self._token, self._ttl = leases, name, token.encode(), ttl
        self._revision = 0
        self._until = 0.0
        self._taking = False
        """True after a try to take it with an unknown outcome."""
        self.epoch = 0
        """Rises when it is held again after another replica may have held it: work of an earlier epoch may be void."""

    @property
    def held(self) -> bool:
        """True where no other replica can have it: it was renewed less than a TTL ago.

        A process that was suspended, or cut off from the broker, learns here that it must stop.
        """
        return time.monotonic() < self._until

    async def take(self) -> bool:
        """Take it if it is free, or held by an earlier process of this replica: after a kill it goes on at once.

        Returns:
            False where another replica holds it.

        Raises:
            NatsError, TimeoutError, OSError: the broker does not answer; it may be taken or not.
        """
        began, self._taking = time.monotonic(), True
        try:
            async with self._in_time():
                self._revision = await self._leases.create(self._name, self._token)
        except KeyWrongLastSequenceError:
            if not await self._is_ours():
                self._taking = False
                return False
        self._until, self._taking = began + self._ttl, False
        return True

    async def renew(self) -> bool:
        """Hold it for another TTL.

        Returns:
            False where another replica holds it now.

        Raises:
            NatsError, TimeoutError, OSError: the broker does not answer; try again.
        """
        began = time.monotonic()
        try:
            async with self._in_time():
                self._revision = await self._leases.update(self._name, self._token, last=self._revision)
        except KeyWrongLastSequenceError:
            doubtful = self._taking
            if await self._is_ours():
                # A renewal was stored and its answer lost. It replaced the previous entry, so no other replica held it.
                self.epoch += doubtful
            elif await self.take():
                self.epoch += 1
            else:
                self._until = 0.0
                return False
        self._until, self._taking = began + self._ttl, False
        return True

    async def give_back(self) -> None:
        """Delete the entry, so that another replica can take it at once; if that fails, the entry expires."""
        if self._until:
            self._until = 0.0
            with suppress(NatsError, TimeoutError, OSError):
                await self._leases.delete(self._name, last=self._revision)

    async def _is_ours(self) -> bool:
        """Tell whether the entry is this replica's; then it is renewed, as it may be about to expire.

        Raises:
            NatsError, TimeoutError, OSError: the broker does not answer, or the lease changed hands just now.
        """
        async with self._in_time():
            try:
                entry = await self._leases.get(self._name)
            except KeyNotFoundError:
                return False
            if entry.value != self._token or entry.revision is None:
                return False
            self._revision = await self._leases.update(self._name, self._token, last=entry.revision)
        return True

    def _in_time(self) -> asyncio.Timeout:
        """Limit for one answer: as long as between renewals, for the entry must not expire while waiting."""
        return asyncio.timeout(self._ttl / RENEWALS)


@asynccontextmanager
async def hold(bus: Bus, name: str, token: str, bucket: Bucket = LEASES) -> AsyncIterator[asyncio.Event]:
    """Wait for a lease, and hold it. Yields an event that is set when another replica has taken the lease.

    Args:
        bus: the connection.
        name: see `Lease`.
        token: see `Lease`.
        bucket: of leases.
    """
    lease, lost = Lease(await bus.bucket(bucket), name, token, bucket.ttl), asyncio.Event()
    pause = bucket.ttl / RENEWALS
    await _wait_for(lease, name, pause)
    renewal = asyncio.create_task(_keep(lease, name, lost, pause), name=f"lease {name}")
    try:
        yield lost
    finally:
        await cancel_and_wait(renewal)
        await lease.give_back()


async def _wait_for(lease: Lease, name: str, pause: float) -> None:
    logged = False
    while True:
        try:
            if await lease.take():
                return
            if not logged:
                log.info("another replica holds the lease; standing by", lease=name)
                logged = True
        except (NatsError, TimeoutError, OSError) as error:
            log.warning("waiting for a lease", lease=name, reason=repr(error))
        await asyncio.sleep(pause)


async def _keep(lease: Lease, name: str, lost: asyncio.Event, pause: float) -> None:
    while True:
        await asyncio.sleep(pause)
        try:
            if not await lease.renew():
                log.warning("lease lost", lease=name)
                lost.set()
                return
        except (NatsError, TimeoutError, OSError) as error:
            log.warning("renewing a lease failed", lease=name, reason=repr(error))
