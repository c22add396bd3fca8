"""Shares: pieces of work that the replicas of a service divide among themselves, each piece done by one of them.

Every replica says again and again that it is there, and takes leases of as many pieces as are its part: the number of
pieces through the number of replicas, the rest going to those that have most. Nobody assigns anything; all see the same
bucket. A replica that comes is given pieces by those that have too many, one that goes hands its pieces over, and those
of one that died are taken once its leases have expired. No piece moves that need not.

    leases   tracker.replica.1f0c…  =  1f0c…            I am there
             tracker.piece.17       =  1f0c…            I do piece 17
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from typing import Any, Final

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError
from prometheus_client import Gauge

from contracts.streams import LEASES, Bucket
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import watch
from services.kit.nats.lease import RENEWALS, Lease

HELD = Gauge("metrica_share_pieces", "Pieces of work that this replica has taken", ["group"])

_SETTLE: Final = 0.05
"""Seconds for which changes are gathered: leases come and go in bunches."""

_AGAIN: Final = 0.2
"""Seconds until a piece is tried again that should have been free."""

log = logger()

Work = Callable[[str, Lease], Coroutine[Any, Any, None]]


class Share:
    """One replica's part of the work.

    Args:
        bus: the connection.
        group: whose work it is: a service's name.
        token: the name of this replica, fit for a key.
        work: does one piece until it is cancelled, and then leaves it in order: only after that it is handed over. It
            gets the lease, to ask whether it is still `held` before it does what two must not do at once. Where it
            returns, the piece is given back, and may be taken again later.
        bucket: of leases.
    """

    def __init__(self, bus: Bus, group: str, token: str, work: Work, bucket: Bucket = LEASES) -> None:
        self._bus, self._group, self._token, self._work, self._bucket = bus, group, token, work, bucket
        self._wanted: frozenset[str] = frozenset()
        self._tasks: dict[str, tuple[Lease, asyncio.Task[None]]] = {}
        self._replicas: dict[str, float] = {}
        self._taken: dict[str, tuple[str, float]] = {}
        self._changed = asyncio.Event()

    @property
    def held(self) -> frozenset[str]:
        """The pieces that this replica does now."""
        return frozenset(self._tasks)

    def want(self, pieces: Collection[str]) -> None:
        """Say what there is to do. Pieces that are no longer wanted are left."""
        self._wanted = frozenset(pieces)
        self._changed.set()

    async def run(self) -> None:
        """Take a fair part, and keep it, until cancelled; then hand everything over."""
        here = await self._lease("replica", self._token)
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen(), name=f"share of {self._group}")
            try:
                await self._keep(here)
            finally:
                listening.cancel()
                await here.give_back()  # first, so that the others know at once what their part is
                await asyncio.gather(*(self._leave(piece) for piece in list(self._tasks)))

    async def _keep(self, here: Lease) -> None:
        while True:
            began = time.monotonic()
            await self._say_here(here)
            await self._renew()
            while (left := began + self._bucket.ttl / RENEWALS - time.monotonic()) > 0:
                await self._balance()
                await self._wait_for_change(left)

    async def _listen(self) -> None:
        """Keep the picture of who is there and who does what."""
        replica, piece = f"{self._group}.replica.", f"{self._group}.piece."
        async for entry in watch(self._bus, self._bucket, f"{self._group}.>"):
            now = time.monotonic()
            if entry.key.startswith(replica):
                name = entry.key.removeprefix(replica)
                fresh = entry.value is not None and name not in self._replicas
                if entry.value is None:
                    fresh = self._replicas.pop(name, None) is not None
                else:
                    self._replicas[name] = now
            else:
                name = entry.key.removeprefix(piece)
                before, _ = self._taken.pop(name, ("", now))
                if entry.value is not None:
                    self._taken[name] = (entry.value.decode(), now)
                fresh = entry.value is None or entry.value.decode() != before
            if fresh:
                self._changed.set()

    async def _say_here(self, here: Lease) -> None:
        try:
            await here.renew()
        except (NatsError, TimeoutError, OSError) as error:
            log.warning("a replica cannot say that it is there", group=self._group, reason=repr(error))

    async def _renew(self) -> None:
        await asyncio.gather(*(self._renew_one(piece, lease) for piece, (lease, _) in list(self._tasks.items())))

    async def _renew_one(self, piece: str, lease: Lease) -> None:
        try:
            if not await lease.renew():
                log.warning("a piece of work was lost to another replica", group=self._group, piece=piece)
                await self._leave(piece)
        except (NatsError, TimeoutError, OSError) as error:
            log.debug("renewing a lease failed", piece=piece, reason=repr(error))

    async def _balance(self) -> None:
        """Leave what is not wanted, done or too much; take what is free."""
        for piece, (_, task) in list(self._tasks.items()):
            if task.done() or piece not in self._wanted:
                await self._leave(piece)
        part = self._part()
        surplus = sorted(self._tasks)[part:]
        await asyncio.gather(*(self._leave(piece) for piece in surplus))
        free = sorted(self._wanted - self._tasks.keys() - self._others().keys())
        await asyncio.gather(*(self._take(piece) for piece in free[: part - len(self._tasks)]))
        HELD.labels(self._group).set(len(self._tasks))

    def _part(self) -> int:
        """How many pieces are this replica's."""
        alive = time.monotonic() - self._bucket.ttl
        names = {self._token, *(name for name, seen in self._replicas.items() if seen > alive)}
        each, rest = divmod(len(self._wanted), len(names))
        held = Counter(token for piece, token in self._others().items() if piece in self._wanted)
        held[self._token] = len(self._tasks)
        most_first = sorted(names, key=lambda name: (-min(held[name], each + 1), name))
        return each + (most_first.index(self._token) < rest)

    def _others(self) -> dict[str, str]:
        """The pieces that somebody else does, and who, as far as is known."""
        alive = time.monotonic() - self._bucket.ttl
        return {piece: token for piece, (token, seen) in self._taken.items() if token != self._token and seen > alive}

    async def _take(self, piece: str) -> None:
        lease = await self._lease("piece", piece)
        try:
            taken = await lease.take()
        except (NatsError, TimeoutError, OSError) as error:
            log.debug("taking a lease failed", piece=piece, reason=repr(error))
            return
        if not taken:
            # Somebody was quicker: that entry is on its way here, or gone again already.
            asyncio.get_running_loop().call_later(_AGAIN, self._changed.set)
            return
        name = f"{self._group} {piece}"
        self._tasks[piece] = lease, asyncio.create_task(self._work(piece, lease), name=name)

    async def _lease(self, kind: str, name: str) -> Lease:
        bucket = await self._bus.bucket(self._bucket)
        return Lease(bucket, f"{self._group}.{kind}.{name}", self._token, self._bucket.ttl)

    async def _leave(self, piece: str) -> None:
        """End the work on a piece, then hand it over.

        Raises:
            Exception: what the work itself raised.
        """
        if piece not in self._tasks:
            return
        lease, task = self._tasks[piece]
        task.cancel()
        await asyncio.wait([task])
        if self._tasks.pop(piece, None) is None:
            return  # somebody else waited for it as well
        await lease.give_back()
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _wait_for_change(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
                await asyncio.sleep(_SETTLE)
                self._changed.clear()
        except TimeoutError:
            return


async def at_work(bus: Bus, group: str, prefix: str, bucket: Bucket = LEASES) -> bool:
    """Whether any replica of a group does a piece whose name is this, or begins with it and a dot."""
    leases = await bus.bucket(bucket)
    place = f"$KV.{bucket.name}."
    pieces = f"{group}.piece.{prefix}"
    info = await bus.js.stream_info(f"KV_{bucket.name}", subjects_filter=f"{place}{group}.piece.>")
    for subject in info.state.subjects or {}:
        key = subject.removeprefix(place)
        if key == pieces or key.startswith(f"{pieces}."):
            with suppress(KeyNotFoundError):  # it was handed over, and its mark has not expired
                await leases.get(key)
                return True
    return False
