"""Feeds the hub with counts, statuses, crossings and tracks from NATS, and corrects counts from the database.

A message can be lost, NATS can be unreachable, and a day can end without a crossing. Every few seconds the versions of
the watched stores are read from the database; if one differs from the version that was broadcast, so are its totals.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID

from nats.aio.msg import Msg
from prometheus_client import Counter
from pydantic import ValidationError

from contracts import subjects
from contracts.events import CROSSING_EVENT, Counts, Crossing, Status, Tracks
from contracts.identity import LIVE
from services.api.access.principal import SERVICE
from services.api.access.repository import readable_stores
from services.api.clock import Clock
from services.api.database import Sessions
from services.api.http.problems import DATABASE_ERRORS
from services.api.live import messages
from services.api.live.hub import Hub, Room
from services.api.live.mailbox import Message
from services.api.live.throttle import Throttle
from services.api.statuses import Statuses
from services.api.stores.repository import StoreRecord, read_stores, read_versions
from services.kit.database.occupancy import resets_around
from services.kit.local_time import DAY, instant, local_day, time_zone_named
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.subscribers import subscribed_in_batches
from services.kit.retry import stay_cancelled

TRACKS_PER_SECOND = 10.0
TRACKS_PAUSE = 0.05
"""Seconds in which tracks wait for their next batch: half the time between two frames that a listener gets."""

REMEMBERED = 10_000
"""Ids of crossings that are kept, so that one that is published again is not shown again."""

MENDED = Counter("metrica_api_notices_mended", "Totals that were read from the database because no notice had come.")

log = logger()


class LiveFeed:
    """Broadcasts to the hub's listeners."""

    def __init__(
        self, bus: Bus, sessions: Sessions, hub: Hub, statuses: Statuses, clock: Clock, reread_seconds: float
    ) -> None:
        self._bus, self._sessions, self._hub, self._statuses, self._clock = bus, sessions, hub, statuses, clock
        self._reread_seconds = reread_seconds
        self._throttle = Throttle(TRACKS_PER_SECOND)
        self._look = asyncio.Event()
        self._stale: set[str] = set()
        self._crossings = 0
        self._shown: OrderedDict[UUID, None] = OrderedDict()
        statuses.on_change(self._on_status)

    async def run(self) -> None:
        """Subscribe, and read the database from time to time, until cancelled. The bus is connected."""
        broker = self._bus.broker
        async with (
            subscribed_in_batches(broker, subjects.counts(LIVE, "*"), self._on_counts),
            subscribed_in_batches(broker, subjects.crossings(LIVE, "*", "*"), self._on_crossings),
            subscribed_in_batches(broker, subjects.edge(LIVE, "*", "*"), self._on_crossings),
            subscribed_in_batches(broker, subjects.tracks(LIVE, "*", "*"), self._on_tracks, pause=TRACKS_PAUSE),
        ):
            await self._keep_looking()

    async def _keep_looking(self) -> None:
        forget = self._bus.on_reconnect(self._look.set)  # messages of the meantime are lost
        warned = False
        try:
            while True:
                await self._pause()
                try:
                    await self.look()
                except DATABASE_ERRORS as error:
                    stay_cancelled()
                    if not warned:
                        log.warning("the database is away; live counts wait for it", error=str(error))
                    warned = True
                else:
                    warned = False
        finally:
            forget()

    async def snapshots(self, stores: Iterable[str]) -> list[Message]:
        """Snapshots of stores for the start of a stream; removed stores have none.

        They are at least as new as everything that is broadcast before this returns.
        """
        records: dict[str, StoreRecord] = {}
        pending = list(stores)
        while pending:
            read = await self._read(pending)
            records = {store: record for store, record in records.items() if store not in pending} | read
            pending = [store for store, record in records.items() if self._is_overtaken(record)]
        for store, record in records.items():
            room = self._hub.rooms.get(store)
            if room is not None and room.revision < 0:  # later snapshots do not change the state of present listeners
                self._note(room, record)
        return [self._encode(record) for record in records.values()]

    def refresh(self) -> None:
        """Check all watched stores soon, and broadcast snapshots of those whose configuration has changed."""
        self._stale.update(self._hub.rooms)
        self._look.set()

    async def look(self) -> None:
        """Compare broadcast versions and days with the database and the calendar, and broadcast the differences."""
        rooms = self._hub.rooms
        if not rooms:
            return
        before = {store: room.revision for store, room in rooms.items() if room.revision >= 0}
        async with self._sessions() as session:
            versions = await read_versions(session, before)
        restored = {store for store in before if versions[store] < before[store]}
        now = self._clock()
        differing = [
            store
            for store in before
            if (room := rooms.get(store)) is not None
            and (store in self._stale or versions[store] != before[store] or _has_turned(room, now))
        ]
        records = await self._read(differing)
        for store in differing:
            if (room := rooms.get(store)) is None or room.revision < 0:
                continue
            if (record := records.get(store)) is None:
                log.info("a watched store was removed", store=store)
                continue
            if store in restored:  # the database was restored, or set up anew
                room.revision = versions[store]
            if not self._is_overtaken(record):  # else at the next check
                self._broadcast(room, record, anew=store in restored)
                self._stale.discard(store)

    def _broadcast(self, room: Room, record: StoreRecord, *, anew: bool) -> None:
        store, revision = record.store.id, record.counts.revision
        mended = revision > room.revision
        if mended:
            MENDED.inc()
            room.revision = revision
        if anew or _has_turned(room, self._clock()) or record.configuration != room.configuration:
            self._note(room, record)
            self._hub.broadcast(store, self._encode(record))
        elif mended:
            self._hub.broadcast(store, messages.counts(record.counts))

    def _is_overtaken(self, record: StoreRecord) -> bool:
        """Tell whether newer totals were broadcast while the record was read."""
        room = self._hub.rooms.get(record.store.id)
        return room is not None and record.counts.revision < room.revision

    async def _read(self, stores: Collection[str]) -> dict[str, StoreRecord]:
        """Read stores from the database, by id; removed stores are left out."""
        if not stores:
            return {}
        async with self._sessions() as session:
            # A broadcast is the same for all listeners of a room, whose rights are checked when they join.
            rows = await readable_stores(session, SERVICE, stores)
            return {record.store.id: record for record in await read_stores(session, rows, self._clock())}

    def _encode(self, record: StoreRecord) -> Message:
        return messages.snapshot(record.show(self._statuses.of_store(record.store.id)), self._clock())

    def _note(self, room: Room, record: StoreRecord) -> None:
        room.revision = max(room.revision, record.counts.revision)
        room.day = datetime.fromisoformat(record.counts.day).date()
        room.time_zone, room.reset = record.store.time_zone, record.store.occupancy_reset
        room.since, room.changes_at = record.since, record.opening.changes_at
        room.configuration = record.configuration

    async def _pause(self) -> None:
        """Wait for the next reading, a midnight, a reset, or `refresh`."""
        now = self._clock()
        turns = [left for room in self._hub.rooms.values() for left in _until_new_day(now, room)]
        # A turn that has passed was tried already: the database is away, or the store was removed.
        seconds = min([self._reread_seconds, *(left for left in turns if left > 0)])
        try:
            async with asyncio.timeout(max(seconds, 0.01)):
                await self._look.wait()
        except TimeoutError:
            pass
        self._look.clear()

    async def _on_counts(self, batch: Sequence[Msg]) -> None:
        for msg in batch:
            self._show_counts(msg)

    def _show_counts(self, msg: Msg) -> None:
        room = self._hub.rooms.get(msg.subject.rpartition(".")[2])
        if room is None:
            return  # no listeners
        try:
            event = Counts.model_validate_json(msg.data)
        except ValidationError as error:
            log.warning("counts cannot be read", subject=msg.subject, error=str(error))
            return
        if event.revision <= room.revision or msg.subject != subjects.counts(LIVE, event.store):
            return
        if room.day is not None and event.day != room.day.isoformat():
            self._look.set()  # of another day than the listeners see: read the database
            return
        room.revision = event.revision
        self._hub.broadcast(event.store, messages.counts(event))

    async def _on_crossings(self, batch: Sequence[Msg]) -> None:
        for msg in batch:
            self._show_crossing(msg)

    def _show_crossing(self, msg: Msg) -> None:
        *_, store, camera = msg.subject.split(".")
        if store not in self._hub.rooms:
            return  # no listeners
        try:
            event = CROSSING_EVENT.validate_json(msg.data)
        except ValidationError as error:
            log.warning("a crossing cannot be read", subject=msg.subject, error=str(error))
            return
        if not isinstance(event, Crossing) or (event.run, event.store, event.camera) != (LIVE, store, camera):
            return  # the end of a session
        if event.id in self._shown:
            return  # the outbox of a tracker that crashed is published again, and so is an edge device's batch
        self._shown[event.id] = None
        if len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)
        self._crossings += 1
        self._hub.broadcast(store, messages.crossing(event, self._crossings))

    async def _on_tracks(self, batch: Sequence[Msg]) -> None:
        for msg in batch:
            self._show_tracks(msg)

    def _show_tracks(self, msg: Msg) -> None:
        *_, store, camera = msg.subject.split(".")
        if not self._hub.is_viewed(store, camera) or not self._throttle.allows(
            camera, asyncio.get_running_loop().time()
        ):
            return
        try:
            Tracks.model_validate_json(msg.data)
        except ValidationError as error:
            log.warning("tracks cannot be read", subject=msg.subject, error=str(error))
            return
        self._hub.show(store, camera, messages.tracks(camera, msg.data))

    def _on_status(self, status: Status) -> None:
        self._hub.broadcast(status.store, messages.status(status))


def _present(now: datetime, room: Room) -> tuple[date, datetime]:
    """A store's local date, and the last reset of its occupancy."""
    where = time_zone_named(room.time_zone)
    return local_day(now, where), resets_around(now, room.reset, where)[0]


def _has_turned(room: Room, now: datetime) -> bool:
    """Tell whether the store's day or last reset differs from what its listeners see, or it has opened or closed."""
    opened_or_closed = room.changes_at is not None and now >= room.changes_at
    return opened_or_closed or (room.day, room.since) != _present(now, room)


def _until_new_day(now: datetime, room: Room) -> Iterator[float]:
    """Seconds to the store's midnight, to its next reset, and to its next opening or closing."""
    if room.day is not None:
        where = time_zone_named(room.time_zone)
        for turn in (instant(room.day + DAY, time(), where), resets_around(now, room.reset, where)[1], room.changes_at):
            if turn is not None:
                yield (turn - now) / timedelta(seconds=1)
