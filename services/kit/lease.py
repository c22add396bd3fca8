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
    revision = await _take(leases, name, token)
    lost = asyncio.Event()
    renewal = asyncio.create_task(_renew(leases, name, token, revision, lost), name=f"lease {name}")
    try:
        yield lost
    finally:
        renewal.cancel()
        await asyncio.gather(renewal, return_exceptions=True)
        if not lost.is_set():
            with suppress(NatsError, TimeoutError, OSError):
                await leases.delete(name)  # hands over at once; otherwise the entry expires


async def _take(leases: KeyValue, name: str, token: str) -> int:
    told = False
    while True:
        try:
            return await leases.create(name, token.encode())
        except KeyWrongLastSequenceError:
            if not told:
                log.info("another replica holds the lease; standing by", lease=name)
                told = True
        except (NatsError, TimeoutError, OSError) as error:
            log.warning("waiting for a lease", lease=name, reason=repr(error))
        await asyncio.sleep(RENEW)


async def _renew(leases: KeyValue, name: str, token: str, revision: int, lost: asyncio.Event) -> None:
    while True:
        await asyncio.sleep(RENEW)
        try:
            revision = await leases.update(name, token.encode(), last=revision)
        except KeyWrongLastSequenceError:
            with suppress(NatsError, TimeoutError, OSError):
                entry = await leases.get(name)
                if entry.value == token.encode() and entry.revision is not None:
                    revision = entry.revision  # our own write, whose acknowledgement was lost
                    continue
            log.warning("lease lost", lease=name)
            lost.set()
            return
        except (NatsError, TimeoutError, OSError) as error:
            log.warning("renewing a lease failed", lease=name, reason=repr(error))
