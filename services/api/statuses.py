"""The latest status of each camera from each service, read from the STATUS stream and kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from contracts.events import State, Status
from contracts.streams import STATUS
from services.kit.nats.bus import Bus
from services.kit.nats.camera_status import EVERY_STATUS, read_status
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer
from services.kit.nats.subscribers import jetstream_subscriber, subscribed

BATCH = 256
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
"""States by increasing severity: the most severe one of its services is the camera's."""


def worst(statuses: Iterable[Status]) -> State | None:
    """The most severe state; None without a status."""
    return max((status.state for status in statuses), key=SEVERITY.index, default=None)


class Statuses:
    """The latest statuses, and listeners for changes of them."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str], Status] = {}
        self._listeners: list[Callable[[Status], None]] = []

    def on_change(self, listener: Callable[[Status], None]) -> None:
        """Call `listener` with every status that differs from the one before."""
        self._listeners.append(listener)

    def of_store(self, store: str) -> list[Status]:
        """The latest statuses of a store's cameras, ordered by camera and service."""
        return [status for key, status in sorted(self._last.items()) if key[0] == store]

    def of_camera(self, store: str, camera: str, service: str) -> Status | None:
        """The latest status of a camera from one service."""
        return self._last.get((store, camera, service))

    def forget(self, keep: Iterable[tuple[str, str]]) -> None:
        """Drop the statuses of removed cameras. `keep` holds (store, camera) of the others."""
        kept = set(keep)
        self._last = {key: status for key, status in self._last.items() if key[:2] in kept}

    def take(self, status: Status) -> None:
        """Record a status. The last one received wins, whatever its timestamp; duplicates are ignored."""
        key = status.store, status.camera, status.service
        if self._last.get(key) == status:
            return
        self._last[key] = status
        for listener in self._listeners:
            listener(status)

    async def follow(self, bus: Bus) -> None:
        """Read the stream until cancelled: the last status of each subject, then every new one."""
        config = ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, filter_subject=EVERY_STATUS)
        statuses = jetstream_subscriber(bus.broker, STATUS)

        @statuses
        async def take(messages: list[Msg]) -> None:
            for msg in messages:
                if (status := read_status(msg)) is not None:
                    self.take(status)

        async with (
            statuses,
            subscribed(bus.broker, EVERY_STATUS, self._on_message),
            OrderedConsumer(bus, STATUS.name, config) as consumer,
        ):
            while True:
                await statuses.deliver(await consumer.batch(BATCH))

    async def _on_message(self, msg: Msg) -> None:
        """Take RETRYING directly from the subject, too: a full disk can keep the stream from storing it."""
        status = read_status(msg)
        if status is not None and status.state is State.RETRYING:
            self.take(status)
