"""Leases: who should do a piece of work that only one replica may do.

A lease is a key in a bucket whose entries expire: its holder writes it again and again, and whoever finds it gone takes
it. It says who should work; it proves nothing. What must not be done twice is fenced where it is stored.
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
"""How often a lease is renewed in the time that its entry lives."""

log = logger()


class Lease:
    """One entry in the bucket, as this process wrote it last.

    Args:
        leases: the bucket.
        name: what is leased, a key such as `pool.motion`.
        token: who holds it: the name of this replica, which no other has.
        ttl: seconds that an entry of the bucket lives.
    """

    def __init__(self, leases: KeyValue, name: str, token: str, ttl: float = LEASES.ttl) -> None:
        self._leases, self._name, self._token, self._ttl = leases, name, token.encode(), ttl
        self._revision = 0
        self._until = 0.0
        self._taking = False
        """Whether taking it was tried, and nobody said how that ended."""
        self.tenure = 0
        """Rises when it is held again after somebody else may have had it: what was begun before may be over."""

    @property
    def held(self) -> bool:
        """Whether nobody else can have it yet: written so lately that the entry has not expired.

        A process that was stopped for a while, or cut off from the broker, finds out here before it does anything.
        """
        return time.monotonic() < self._until

    async def take(self) -> bool:
        """Take it if nobody has it, or an earlier life of this replica has: who was killed goes on at once.

        Raises:
            NatsError, TimeoutError, OSError: the broker does not say; it may be taken or not.
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
        """Hold it for another while. False: it is somebody else's now.

        Raises:
            NatsError, TimeoutError, OSError: the broker does not say; try again.
        """
        began = time.monotonic()
        try:
            async with self._in_time():
                self._revision = await self._leases.update(self._name, self._token, last=self._revision)
        except KeyWrongLastSequenceError:
            doubtful = self._taking
            if await self._is_ours():
                # A renewal was stored and not answered. It was stored over the entry before: nobody had it between.
                self.tenure += doubtful
            elif await self.take():
                self.tenure += 1
            else:
                self._until = 0.0
                return False
        self._until, self._taking = began + self._ttl, False
        return True

    async def give_back(self) -> None:
        """Let another have it at once; where that does not succeed, the entry expires."""
        if self._until:
            self._until = 0.0
            with suppress(NatsError, TimeoutError, OSError):
                await self._leases.delete(self._name, last=self._revision)

    async def _is_ours(self) -> bool:
        """Whether the entry says that this replica holds it; then it is written anew, as it may be about to expire.

        Raises:
            NatsError, TimeoutError, OSError: the broker does not say, or it changed hands just now.
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
        """An answer that comes later than the next renewal is not waited for: the entry would expire meanwhile."""
        return asyncio.timeout(self._ttl / RENEWALS)


@asynccontextmanager
async def hold(bus: Bus, name: str, token: str, bucket: Bucket = LEASES) -> AsyncIterator[asyncio.Event]:
    """Wait for a lease, and hold it. Yields an event that is set when the lease was lost to another.

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
    told = False
    while True:
        try:
            if await lease.take():
                return
            if not told:
                log.info("another replica holds the lease; standing by", lease=name)
                told = True
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
