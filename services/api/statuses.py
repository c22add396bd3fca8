"""The last word of each service about each camera, read from the STATUS stream and kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from contracts.events import State, Status
from contracts.streams import STATUS
from services.kit.nats.bus import Bus
from services.kit.nats.camera_status import EVERY_STATUS, read_status
from services.kit.nats.consumer import Reader

SEVERITY = (
    State.RUNNING,
    State.STARTING,
    State.STOPPED,
    State.ALREADY_COUNTED,
    State.FINISHED,
    State.RETRYING,
    State.NO_MODEL,
    State.REFUSED,
)
"""From well to ill: what a camera is said to do where its services say different things."""


def worst(statuses: Iterable[Status]) -> State | None:
    """How a camera does, all services together; None where none has said anything."""
    return max((status.state for status in statuses), key=SEVERITY.index, default=None)


class Statuses:
    """The last statuses, and who wants to hear of changes."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str], Status] = {}
        self._listeners: list[Callable[[Status], None]] = []

    def on_change(self, listener: Callable[[Status], None]) -> None:
        """Call back for every status that says something new."""
        self._listeners.append(listener)

    def of_store(self, store: str) -> list[Status]:
        """What was said last about a store's cameras, by camera and service."""
        return [status for key, status in sorted(self._last.items()) if key[0] == store]

    def of_camera(self, store: str, camera: str, service: str) -> Status | None:
        """What one service said last about a camera."""
        return self._last.get((store, camera, service))

    def forget(self, keep: Iterable[tuple[str, str]]) -> None:
        """Drop what was said of cameras that are no more. `keep` holds (store, camera)."""
        kept = set(keep)
        self._last = {key: status for key, status in self._last.items() if key[:2] in kept}

    def take(self, status: Status) -> None:
        """A service says how a camera does. The last word stands, by whatever clock; the same word again is no news."""
        key = status.store, status.camera, status.service
        if self._last.get(key) == status:
            return
        self._last[key] = status
        for listener in self._listeners:
            listener(status)

    async def follow(self, bus: Bus) -> None:
        """Read the stream, the last status of each subject first, then every new one; for ever."""
        await bus.client.subscribe(EVERY_STATUS, cb=self._hear)
        config = ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, filter_subject=EVERY_STATUS)
        async with Reader(bus, STATUS.name, config) as reader:
            async for msg in reader:
                if (status := read_status(msg)) is not None:
                    self.take(status)

    async def _hear(self, msg: Msg) -> None:
        """What keeps a service from working may keep the stream from storing it: it is heard directly as well."""
        status = read_status(msg)
        if status is not None and status.state is State.RETRYING:
            self.take(status)
