"""The work on one partition: reads its detections in stream order, and tracks and counts each of its cameras."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import inf

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy
from prometheus_client import Gauge

from contracts.checkpoints import checkpoint_key
from contracts.events import Detections
from contracts.spec import CameraSpec
from contracts.streams import CHECKPOINTS
from contracts.subjects import parse, partition_filter
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer
from services.kit.nats.consumers.stream_position import StreamPosition
from services.kit.nats.dead_letters import dead_letter
from services.kit.nats.subscribers import jetstream_subscriber
from services.kit.retry import Backoff
from services.tracker.camera import CameraWork
from services.tracker.checkpoint import CheckpointEntry, Fenced, load, publish, rewind_if_restored
from services.tracker.live_view import Held, LiveView
from services.tracker.ordering import Arrival
from services.tracker.source import DetectionSource
from services.tracker.state import Checkpoint, Tracked

SERVICE = "tracker"
LEAVE_TIMEOUT = 3.0
"""Seconds that the saving of all cameras may take at the end."""
LONGEST_WAIT, SHORTEST_WAIT = 0.5, 0.02
BATCH = 32
"""Most messages that are handled in one go: some milliseconds of work."""

LAG = Gauge("metrica_tracker_lag_messages", "Detections not read yet", ["partition"])

log = logger()


class Partition:
    """Reads one partition and counts its cameras until cancelled or fenced.

    A step waits for all that it needs first; then the states of the cameras advance, without an await, so that they
    always belong to one position in the stream; then they are saved, and what was saved is published. It may be
    cancelled anywhere.
    """

    def __init__(self, bus: Bus, source: DetectionSource, number: int, token: str, held: Held = lambda: True) -> None:
        self._bus, self._source, self._number, self._token = bus, source, number, token
        self._detections = jetstream_subscriber(bus.broker, source.stream)
        self._detections(self._handle)
        self._live = LiveView(bus, source, held)
        self._cameras: dict[str, CameraWork] = {}
        self._position = StreamPosition(seq=0)
        """Up to which the stream is in the cameras' states."""
        self._looked_at = time.monotonic()

    async def run(self) -> None:
        """Take the partition over, and work on it.

        Raises:
            Fenced: another tracker has taken over.
        """
        self._bucket = await self._bus.bucket(CHECKPOINTS)
        start = await self._take_over()
        config = ConsumerConfig(
            filter_subject=partition_filter(self._source.name, self._number),
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
        )
        self._position = StreamPosition(seq=start - 1)
        async with self._detections, OrderedConsumer(self._bus, self._source.stream.name, config) as consumer:
            try:
                while True:
                    await self._step(consumer)
            except asyncio.CancelledError:
                await self._leave()
                raise

    async def _leave(self) -> None:
        """Save all cameras, so that the next owner need not track again; nothing is lost if this fails."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT):
                for camera in self._cameras.values():
                    with suppress(Fenced):
                        await camera.save(self._position)

    async def _take_over(self) -> int:
        """Fence the last owner, and publish its outboxes again. Returns the sequence number to read from."""
        backoff = Backoff()
        while True:
            try:
                checkpoints = await load(self._bus, self._bucket, self._source.name, self._number)
                low_waters = [await self._take_camera(*loaded) for loaded in checkpoints.values()]
                return 1 + min(low_waters, default=0)
            except Fenced:  # the last owner has written once more meanwhile: load that
                log.info("a checkpoint moved on while it was taken over", partition=self._number)
            except (NatsError, TimeoutError, OSError) as error:
                log.debug("waiting to take a partition", partition=self._number, reason=str(error))
                await backoff.wait()

    async def _take_camera(self, checkpoint: Checkpoint, revision: int) -> int:
        """Become the owner of a camera. Returns its low-water mark.

        Raises:
            Fenced: another process wrote its checkpoint meanwhile.
        """
        name = checkpoint.camera
        rewound = await rewind_if_restored(self._bus, self._source.stream.name, checkpoint)
        owned = rewound.model_copy(update={"owner": self._token})
        entry = CheckpointEntry(self._bucket, checkpoint_key(self._source.name, self._number, name), revision)
        await entry.store(owned)
        await publish(self._bus, owned.outbox)
        self._cameras[name] = CameraWork(self._bus, self._source, entry, owned)
        return owned.low_water

    async def _step(self, consumer: OrderedConsumer) -> None:
        """Handle the next messages, or give up waits for missing frames when their time has come."""
        due = self._due(consumer.caught_up_since)
        msgs: list[Msg] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(max(SHORTEST_WAIT, due - time.monotonic())):
                msgs = await consumer.batch(BATCH)
        if msgs:
            await self._detections.deliver(msgs)
        caught_up_since, now = consumer.caught_up_since, time.monotonic()
        if now >= due and caught_up_since <= now:
            await self._expire_waits(now, caught_up_since)

    def _due(self, caught_up_since: float) -> float:
        """The local time of the next work that no message triggers."""
        if caught_up_since == inf:  # silence would prove nothing
            return time.monotonic() + LONGEST_WAIT
        deadlines = [
            camera.state.deadline(caught_up_since) for camera in self._cameras.values() if self._source.run is None
        ]
        return min([self._looked_at + LONGEST_WAIT, *deadlines])

    async def _handle(self, msgs: list[Msg]) -> None:
        """Take in the next messages of the stream."""
        if self._source.run is None:
            LAG.labels(self._number).set(msgs[-1].metadata.num_pending)
        arrivals: dict[str, list[Arrival]] = {}
        for msg in msgs:
            arrival = await self._read(msg)
            if arrival is not None:
                arrivals.setdefault(arrival.event.camera, []).append(arrival)
        specs: dict[str, dict[int, CameraSpec]] = {}
        for name, arrived in arrivals.items():
            if name not in self._cameras:
                await self._admit(arrived[0], StreamPosition.of(msgs[0]))
            specs[name] = await self._specs(name, arrived)
        await self._live.show(self._advance(arrivals, specs, StreamPosition.of(msgs[-1])))
        for name in arrivals:
            await self._cameras[name].save_if_due(self._position)

    def _advance(
        self,
        arrivals: Mapping[str, Sequence[Arrival]],
        specs: Mapping[str, Mapping[int, CameraSpec]],
        position: StreamPosition,
    ) -> list[Tracked]:
        """Track what is in order. All states go on to the same position at once, as nothing here awaits.

        Args:
            arrivals: by camera.
            specs: by camera and revision.
            position: of the last message, whatever it was.
        """
        self._position = position
        return [
            tracked
            for name, arrived in arrivals.items()
            for tracked in self._cameras[name].state.advance(arrived, specs[name])
        ]

    async def _expire_waits(self, now: float, caught_up_since: float) -> None:
        self._looked_at = now
        for name, camera in self._cameras.items():
            # A replay's gaps never time out.
            if self._source.run is None and camera.state.deadline(caught_up_since) <= now:
                specs = await self._specs(name)
                await self._live.show(camera.state.expire(now, caught_up_since, specs))
            await camera.save_if_due(self._position)

    async def _read(self, msg: Msg) -> Arrival | None:
        """The detections in a message; None where there are none, and it is dead-lettered."""
        try:
            event, stored_at = _decode(msg), self._source.stored_at(msg)
        except ValueError as error:
            await dead_letter(self._bus, SERVICE, msg, str(error), run=self._source.name)
            return None
        seq = msg.metadata.sequence.stream
        return Arrival(event, seq, stored_at, time.monotonic(), final=self._source.ends_with(msg))

    async def _admit(self, first: Arrival, place: StreamPosition) -> None:
        """Store the first checkpoint of a camera, before its first detections are tracked.

        Args:
            first: detections of the camera.
            place: of a message at or shortly before them.
        """
        event = first.event
        checkpoint = Checkpoint(
            run=event.run,
            store=event.store,
            camera=event.camera,
            owner=self._token,
            low_water=first.stream_seq - 1,
            places=(place,),
        )
        entry = CheckpointEntry(self._bucket, checkpoint_key(self._source.name, self._number, event.camera))
        await entry.store(checkpoint)
        self._cameras[event.camera] = CameraWork(self._bus, self._source, entry, checkpoint)

    async def _specs(self, name: str, arrived: Sequence[Arrival] = ()) -> dict[int, CameraSpec]:
        """The specs by which a camera's next events may have to be tracked; see `Specs.get` for missing ones."""
        revisions = self._cameras[name].state.revisions(arrived)
        return {revision: await self._source.specs.get(name, revision) for revision in revisions}


def _decode(msg: Msg) -> Detections:
    event, subject = Detections.model_validate_json(msg.data), parse(msg.subject)
    if (subject.run, subject.store, subject.camera) != (event.run, event.store, event.camera):
        raise ValueError(f"the event names {event.run}/{event.store}/{event.camera}, its subject {msg.subject}")
    return event
