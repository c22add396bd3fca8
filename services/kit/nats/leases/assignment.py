"""Sticky assignment: the replicas of a service divide items of work among themselves, each item done by one replica.

Every replica renews a lease that says that it is present, and takes leases of as many items as its quota: the number of
items divided by the number of replicas; the remainder goes to the replicas that hold most. There is no coordinator: all
watch the same bucket and compute the same quotas. When a replica starts, replicas above their quota hand items over to
it; a replica that stops hands its items over; the items of a crashed one are taken when its leases expire. An item
moves only where the balance needs it (Kafka's sticky assignor).

    leases   tracker.replica.1f0c…  =  1f0c…            the replica 1f0c… is present
             tracker.piece.17       =  1f0c…            the replica 1f0c… works on item 17
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, NotFoundError
from prometheus_client import Gauge

from contracts.streams import LEASES, Bucket
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.kv_watch import watch
from services.kit.nats.leases.lease import RENEWALS, Lease

HELD = Gauge("metrica_share_pieces", "Pieces of work that this replica has taken", ["group"])

_SETTLE: Final = 0.05
"""Seconds for which changes are gathered before rebalancing: leases come and go in bursts."""

_AGAIN: Final = 0.2
"""Seconds until the next try to take an item, after its lease looked free and was taken."""

log = logger()

Work = Callable[[str, Lease], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class _Held:
    """An item that this replica works on."""

    lease: Lease
    task: asyncio.Task[None]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A lease as it was seen last: its holder, and the monotonic time in seconds."""

    holder: str
    at: float


class Assignment:
    """The items of one replica.

    Args:
        bus: the connection.
        group: name of the service that shares the work.
        token: the name of this replica, fit for a key.
        work: does one item's work until it is cancelled, and then ends it in order: only after that the item is handed
            over. It gets the lease, and must ask whether it is still `held` before any step that two replicas must not
            do at once. Where it returns, the lease is given up, and the item may be taken again later.
        bucket: of leases.
    """

    def __init__(self, bus: Bus, group: str, token: str, work: Work, bucket: Bucket = LEASES) -> None:
        self._bus, self._group, self._token, self._work, self._bucket = bus, group, token, work, bucket
        self._items: frozenset[str] = frozenset()
        self._held: dict[str, _Held] = {}
        self._replicas: dict[str, _Seen] = {}
        self._holders: dict[str, _Seen] = {}
        self._changed = asyncio.Event()

    @property
    def held(self) -> frozenset[str]:
        """The items that this replica works on now."""
        return frozenset(self._held)

    def set_items(self, items: Collection[str]) -> None:
        """Set the items of the whole group. Work on items that are no longer among them ends."""
        self._items = frozenset(items)
        self._changed.set()

    async def run(self) -> None:
        """Take this replica's quota of the items, and keep it, until cancelled; then hand all of them over."""
        presence = await self._lease("replica", self._token)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch_leases(), name=f"assignment of {self._group}")
            try:
                await self._keep(presence)
            finally:
                watching.cancel()
                await presence.give_back()  # first, so that the others know their new quota at once
                await asyncio.gather(*(self._leave(item) for item in list(self._held)))

    async def _keep(self, presence: Lease) -> None:
        while True:
            began = time.monotonic()
            await self._renew_presence(presence)
            await self._renew()
            while (left := began + self._bucket.ttl / RENEWALS - time.monotonic()) > 0:
                await self._balance()
                await self._wait_for_change(left)

    async def _watch_leases(self) -> None:
        """Keep track of the replicas that are present and of the items' holders."""
        replica_prefix, item_prefix = f"{self._group}.replica.", f"{self._group}.piece."
        async for entry in watch(self._bus, self._bucket, f"{self._group}.>"):
            is_replica = entry.key.startswith(replica_prefix)
            seen = self._replicas if is_replica else self._holders
            name = entry.key.removeprefix(replica_prefix if is_replica else item_prefix)
            before, now = seen.pop(name, None), None
            if entry.value is not None:
                now = seen[name] = _Seen(entry.value.decode(), time.monotonic())
            if (before and before.holder) != (now and now.holder):
                self._changed.set()

    async def _renew_presence(self, presence: Lease) -> None:
        try:
            await presence.renew()
        except (NatsError, TimeoutError, OSError) as error:
            log.warning("a replica cannot say that it is there", group=self._group, reason=repr(error))

    async def _renew(self) -> None:
        await asyncio.gather(*(self._renew_item(item, held.lease) for item, held in list(self._held.items())))

    async def _renew_item(self, item: str, lease: Lease) -> None:
        try:
            if not await lease.renew():
                log.warning("a piece of work was lost to another replica", group=self._group, piece=item)
                await self._leave(item)
        except (NatsError, TimeoutError, OSError) as error:
            log.debug("renewing a lease failed", piece=item, reason=repr(error))

    async def _balance(self) -> None:
        """Leave items that are removed, done or above the quota; take free ones."""
        for item, held in list(self._held.items()):
            if held.task.done() or item not in self._items:
                await self._leave(item)
        quota = self._quota()
        surplus = sorted(self._held)[quota:]
        await asyncio.gather(*(self._leave(item) for item in surplus))
        free = sorted(self._items - self._held.keys() - self._held_by_others().keys())
        await asyncio.gather(*(self._take(item) for item in free[: quota - len(self._held)]))
        HELD.labels(self._group).set(len(self._held))

    def _quota(self) -> int:
        """The number of items that this replica should hold."""
        names = {self._token, *self._present(self._replicas)}
        each, remainder = divmod(len(self._items), len(names))
        counts = Counter(token for item, token in self._held_by_others().items() if item in self._items)
        counts[self._token] = len(self._held)
        most_first = sorted(names, key=lambda name: (-min(counts[name], each + 1), name))
        return each + (most_first.index(self._token) < remainder)

    def _held_by_others(self) -> dict[str, str]:
        """The items that other replicas hold, with the replica's name, as far as this one has seen."""
        return {item: token for item, token in self._present(self._holders).items() if token != self._token}

    def _present(self, seen: Mapping[str, _Seen]) -> dict[str, str]:
        """The holders of the leases that have not expired."""
        alive = time.monotonic() - self._bucket.ttl
        return {name: last.holder for name, last in seen.items() if last.at > alive}

    async def _take(self, item: str) -> None:
        lease = await self._lease("piece", item)
        try:
            taken = await lease.take()
        except (NatsError, TimeoutError, OSError) as error:
            log.debug("taking a lease failed", piece=item, reason=repr(error))
            return
        if not taken:
            # Another replica took it first: its entry has not arrived here yet, or is gone again already.
            asyncio.get_running_loop().call_later(_AGAIN, self._changed.set)
            return
        name = f"{self._group} {item}"
        self._held[item] = _Held(lease, asyncio.create_task(self._work(item, lease), name=name))

    async def _lease(self, kind: str, name: str) -> Lease:
        bucket = await self._bus.bucket(self._bucket)
        return Lease(bucket, f"{self._group}.{kind}.{name}", self._token, self._bucket.ttl)

    async def _leave(self, item: str) -> None:
        """End the work on an item, then give up its lease.

        Raises:
            Exception: the work's own.
        """
        if item not in self._held:
            return
        held = self._held[item]
        held.task.cancel()
        await asyncio.wait([held.task])
        if self._held.pop(item, None) is None:
            return  # another call has waited for the same task, and goes on
        await held.lease.give_back()
        if not held.task.cancelled() and (error := held.task.exception()) is not None:
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
    """Tell whether any replica of a group works on an item named `prefix`, or `prefix`, a dot and more."""
    leases = await bus.bucket(bucket)
    root = f"$KV.{bucket.name}."
    items = f"{group}.piece.{prefix}"
    info = await bus.js.stream_info(f"KV_{bucket.name}", subjects_filter=f"{root}{group}.piece.>")
    for subject in info.state.subjects or {}:
        key = subject.removeprefix(root)
        if key == items or key.startswith(f"{items}."):
            with suppress(KeyNotFoundError):  # the lease was given up, and its delete marker has not expired
                await leases.get(key)
                return True
    return False


async def is_present(bus: Bus, group: str, bucket: Bucket = LEASES) -> bool:
    """Tell whether any replica of a group is there; one that was killed is for as long as its lease lasts."""
    root = f"$KV.{bucket.name}."
    try:
        info = await bus.js.stream_info(f"KV_{bucket.name}", subjects_filter=f"{root}{group}.replica.>")
        leases = await bus.js.key_value(bucket.name)
    except NotFoundError:
        return False  # no service has ever run
    for subject in info.state.subjects or {}:
        with suppress(KeyNotFoundError):
            await leases.get(subject.removeprefix(root))
            return True
    return False
