"""Who listens to which stores and cameras, and the handing out of messages to them."""

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
"""In a camera's place: each camera of the store."""

View = tuple[str, str]
"""A store and one of its cameras, whose boxes are looked at; or EVERY one of them."""


@dataclass(eq=False, slots=True)
class Listener:
    """One open stream.

    Attributes:
        name: of what it is about.
        view: the boxes that it is sent; None for none.
        stores: whose totals and statuses it is sent.
    """

    name: str
    view: View | None = None
    stores: set[str] = field(default_factory=set)
    mailbox: Mailbox = field(default_factory=Mailbox)


@dataclass(slots=True)
class Room:
    """A store whose totals and statuses somebody listens to."""

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
    """The listeners of this process, by store and by camera."""

    def __init__(self) -> None:
        self._open: set[Listener] = set()
        self._viewers: defaultdict[View, set[Listener]] = defaultdict(set)
        self.rooms: dict[str, Room] = {}

    def join(self, name: str, stores: Iterable[str] = (), view: View | None = None) -> Listener:
        """Begin to listen; what is handed out from now on waits in the listener's mailbox.

        Args:
            name: of what the stream is about.
            stores: whose totals and statuses are wanted.
            view: whose boxes are wanted.
        """
        listener = Listener(name, view)
        self._open.add(listener)
        OPEN.set(len(self._open))
        for store in stores:
            self.enter(listener, store)
        if view is not None:
            self._viewers[view].add(listener)
        return listener

    def enter(self, listener: Listener, store: str) -> None:
        """Listen to one more store."""
        listener.stores.add(store)
        self.rooms.setdefault(store, Room()).listeners.add(listener)

    def exit(self, listener: Listener, store: str) -> None:
        """Listen to a store no longer; what is unread of it is thrown away."""
        listener.stores.remove(store)
        listener.mailbox.forget(store)
        room = self.rooms[store]
        room.listeners.remove(listener)
        if not room.listeners:
            del self.rooms[store]

    def leave(self, listener: Listener) -> None:
        """Stop listening. A second time does nothing."""
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
        """Hand a message to everybody who listens to a store."""
        if (room := self.rooms.get(store)) is not None:
            _hand_out(message, room.listeners)

    def is_viewed(self, store: str, camera: str) -> bool:
        """Whether anybody looks at a camera's boxes."""
        return (store, EVERY) in self._viewers or (store, camera) in self._viewers

    def show(self, store: str, camera: str, boxes: Message) -> None:
        """Hand boxes to everybody who looks at them."""
        for view in ((store, EVERY), (store, camera)):
            _hand_out(boxes, self._viewers.get(view, ()))


def _hand_out(message: Message, listeners: Collection[Listener]) -> None:
    kind = message.key[0]
    for listener in listeners:
        if listener.mailbox.put(message):
            SKIPPED.labels(kind).inc()
    SENT.labels(kind).inc(len(listeners))
