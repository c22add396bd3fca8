"""Who listens to which store, and the handing out of messages to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time

from prometheus_client import Counter, Gauge

from services.api.live.mailbox import Mailbox, Message
from services.api.problems import Unavailable
from services.kit.occupancy import RESET

OPEN = Gauge("metrica_api_streams", "Live streams (open dashboards) now.")
REFUSED = Counter("metrica_api_streams_refused", "Live streams refused because there were too many.")
SENT = Counter("metrica_api_live_messages", "Messages handed out, by kind and once per listener.", ["kind"])
SKIPPED = Counter("metrica_api_live_messages_skipped", "Messages that a slow listener never saw, by kind.", ["kind"])


class TooManyStreams(Unavailable):
    """The limit of live streams is reached."""

    retry_after = 10


@dataclass(eq=False, slots=True)
class Listener:
    """One open stream."""

    store: str
    mailbox: Mailbox = field(default_factory=Mailbox)


@dataclass(slots=True)
class Room:
    """A store that somebody listens to."""

    listeners: set[Listener] = field(default_factory=set)
    revision: int = -1
    """The newest version that was handed out; -1 before the first snapshot."""
    day: date | None = None
    """The store's local date as its listeners see it."""
    time_zone: str = "UTC"
    reset: time = RESET
    since: datetime | None = None
    """The last reset of the store's occupancy as its listeners see it."""
    configuration: str = ""
    """The store's configuration as its listeners see it."""


class Hub:
    """The listeners of this process, by store."""

    def __init__(self, max_streams: int) -> None:
        self._max_streams = max_streams
        self._streams = 0
        self.rooms: dict[str, Room] = {}

    def join(self, store: str) -> Listener:
        """Begin to listen; what is broadcast from now on waits in the listener's mailbox.

        Raises:
            TooManyStreams: the limit is reached.
        """
        if self._streams >= self._max_streams:
            REFUSED.inc()
            raise TooManyStreams(
                f"{self._streams} dashboards are open, the most that this API serves at a time "
                "(METRICA_MAX_STREAMS). Close one, raise the limit, or start another API."
            )
        listener = Listener(store)
        self.rooms.setdefault(store, Room()).listeners.add(listener)
        self._streams += 1
        OPEN.set(self._streams)
        return listener

    def leave(self, listener: Listener) -> None:
        """Stop listening. A second time does nothing."""
        room = self.rooms.get(listener.store)
        if room is None or listener not in room.listeners:
            return
        room.listeners.remove(listener)
        if not room.listeners:
            del self.rooms[listener.store]
        self._streams -= 1
        OPEN.set(self._streams)

    def broadcast(self, store: str, message: Message) -> None:
        """Hand a message to everybody who listens to a store."""
        room = self.rooms.get(store)
        if room is None:
            return
        kind = message.key[0]
        for listener in room.listeners:
            if listener.mailbox.put(message):
                SKIPPED.labels(kind).inc()
        SENT.labels(kind).inc(len(room.listeners))
