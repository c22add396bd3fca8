"""Listeners of live streams, by store and camera, and broadcasts to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time

from prometheus_client import Counter, Gauge

from services.api.live.mailbox import Mailbox, Message
from services.kit.database.occupancy import RESET

OPEN = Gauge("metrica_api_streams", "Live streams (open dashboards) now.")
SENT = Counter("metrica_api_live_messages", "Messages handed out, by kind and once per listener.", ["kind"])
SKIPPED = Counter("metrica_api_live_messages_skipped", "Messages that a slow listener never saw, by kind.", ["kind"])


EVERY = "*"
"""In place of a camera: all cameras of the store."""

View = tuple[str, str]
"""A store and one of its cameras, or EVERY one, whose tracks are sent."""


@dataclass(eq=False, slots=True)
class Listener:
    """One open stream.

    Attributes:
        name: id of the store, organization or camera.
        view: selects the tracks that it gets; None for none.
        stores: ids of the stores of the totals and statuses that it gets.
    """

    name: str
    view: View | None = None
    stores: set[str] = field(default_factory=set)
    mailbox: Mailbox = field(default_factory=Mailbox)


@dataclass(slots=True)
class Room:
    """The listeners of a store, and the state that they see."""

    listeners: set[Listener] = field(default_factory=set)
    revision: int = -1
    """The newest version that was broadcast; -1 before the first snapshot."""
    day: date | None = None
    """The store's local date as its listeners see it."""
    time_zone: str = "UTC"
    reset: time = RESET
    since: datetime | None = None
    """The last reset of the store's occupancy as its listeners see it."""
    changes_at: datetime | None = None
    """When the store opens or closes next, as its listeners see it."""
    configuration: str = ""
    """The store's configuration as its listeners see it."""


class Hub:
    """The listeners of this process, by store and by camera."""

    def __init__(self) -> None:
        self._open: set[Listener] = set()
        self._viewers: defaultdict[View, set[Listener]] = defaultdict(set)
        self.rooms: dict[str, Room] = {}

    def join(self, name: str, stores: Iterable[str] = (), view: View | None = None) -> Listener:
        """Add a listener, whose mailbox gets all broadcasts from now on; see `Listener`."""
        listener = Listener(name, view)
        self._open.add(listener)
        OPEN.set(len(self._open))
        for store in stores:
            self.enter(listener, store)
        if view is not None:
            self._viewers[view].add(listener)
        return listener

    def enter(self, listener: Listener, store: str) -> None:
        """Add a store to a listener."""
        listener.stores.add(store)
        self.rooms.setdefault(store, Room()).listeners.add(listener)

    def exit(self, listener: Listener, store: str) -> None:
        """Remove a store from a listener, and its unread messages."""
        listener.stores.remove(store)
        listener.mailbox.forget(store)
        room = self.rooms[store]
        room.listeners.remove(listener)
        if not room.listeners:
            del self.rooms[store]

    def leave(self, listener: Listener) -> None:
        """Remove a listener. Does nothing if it has left already."""
        if listener not in self._open:
            return
        self._open.remove(listener)
        OPEN.set(len(self._open))
        for store in list(listener.stores):
            self.exit(listener, store)
        if listener.view is not None:
            viewers = self._viewers[listener.view]
            viewers.remove(listener)
            if not viewers:
                del self._viewers[listener.view]

    def broadcast(self, store: str, message: Message) -> None:
        """Send a message to all listeners of a store."""
        if (room := self.rooms.get(store)) is not None:
            _send(message, room.listeners)

    def is_viewed(self, store: str, camera: str) -> bool:
        """Tell whether a listener gets a camera's tracks."""
        return (store, EVERY) in self._viewers or (store, camera) in self._viewers

    def show(self, store: str, camera: str, tracks: Message) -> None:
        """Send tracks to all listeners that view the camera."""
        for view in ((store, EVERY), (store, camera)):
            _send(tracks, self._viewers.get(view, ()))


def _send(message: Message, listeners: Collection[Listener]) -> None:
    kind = message.key[0]
    for listener in listeners:
        if listener.mailbox.put(message):
            SKIPPED.labels(kind).inc()
    SENT.labels(kind).inc(len(listeners))
