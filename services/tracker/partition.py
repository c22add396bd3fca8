"""The work on one partition: reads its detections in stream order, and tracks and counts each of its cameras."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy
from prometheus_client import Counter, Gauge, Histogram

from contracts.checkpoints import checkpoint_key
from contracts.events import Crossing, Detections, Path, SessionEnd
from contracts.identity import Policy
from contracts.streams import CHECKPOINTS
from contracts.subjects import parse, partition_filter, tracks
from services.kit.logs import bound_contextvars, logger
from services.kit.nats.bus import Bus
from services.kit.nats.consumer import Reader
from services.kit.nats.dead_letters import dead_letter
from services.kit.nats.stream_position import StreamPosition, remember
from services.kit.retry import Backoff
from services.kit.tasks import finish
from services.tracker.checkpoint import (
    Checkpoint,
    CheckpointEntry,
    Fenced,
    OutboxEvent,
    load,
    publish,
    rewind_if_restored,
)
from services.tracker.counting.camera_counter import CameraCounter, Step
from services.tracker.ordering import Arrival, Sequencer
from services.tracker.progress import tell_progress
from services.tracker.source import DetectionSource

SERVICE = "tracker"
CHECKPOINT_EVERY = 1.0
"""Seconds between checkpoints without crossings: so much must the next owner track again after a crash."""
IDLE_CHECKPOINT_EVERY = 30.0
"""Seconds after which an idle camera's low-water mark is moved up, so that a restart need not read a long past."""
UNSYNCED = 5.0
"""Seconds for which published crossings stay in the outbox, as JetStream syncs only every second."""
LEAVE_TIMEOUT = 3.0
"""Seconds that a step, and then the saving of all cameras, may take at the end. Half a step must not be saved."""
LONGEST_WAIT, SHORTEST_WAIT = 0.5, 0.02
BATCH = 32
"""Most messages that are handled in one go: some milliseconds of work."""

FRAMES_TRACKED = Counter("metrica_tracker_frames_total", "Frames tracked", ["camera"])
FRAMES_MISSED = Counter("metrica_tracker_missed_total", "Frames of live cameras that no detector saw", ["camera"])
CROSSINGS = Counter("metrica_tracker_crossings_total", "Crossings found", ["camera", "direction"])
REPLAYED = Counter("metrica_tracker_replayed_frames_total", "Frames tracked in runs beside the live one")
STEP_SECONDS = Histogram(
    "metrica_tracker_step_seconds", "Tracking of one frame", buckets=[1e-4 * 2**n for n in range(12)]
)
LAG = Gauge("metrica_tracker_lag_messages", "Detections not read yet", ["partition"])

Held = Callable[[], bool]
"""True while no other replica can have the partition. Events that no checkpoint fences are published only then."""

log = logger()


class CameraWork:
    """The work on one camera: its order, its counter, its checkpoint."""

    def __init__(
        self, bus: Bus, source: DetectionSource, entry: CheckpointEntry, checkpoint: Checkpoint, held: Held
    ) -> None:
        self._bus, self._source, self._entry, self._saved, self._held = bus, source, entry, checkpoint, held
        self.order = Sequencer(checkpoint.order)
        self._counter = CameraCounter.restore(checkpoint.run, checkpoint.store, checkpoint.camera, checkpoint.counter)
        self._outbox: list[OutboxEvent] = []
        self._sent = [(time.monotonic(), event) for event in checkpoint.outbox]
        self._dirty = False
        self._torn = False
        """True while the order has released events that the counter has not taken: such a state must not be saved."""
        self._saved_at = time.monotonic()

    async def take(self, ready: Iterable[Detections], position: StreamPosition) -> None:
        """Track the events that are in order; after a crossing or a session's end, save and publish at once.

        Raises:
            Fenced: another tracker has this camera.
        """
        urgent, self._torn = False, True
        for event in ready:
            if event.store != self._saved.store:
                self._change_store(event.store)
            spec = await self._source.specs.get(event.camera, event.spec_revision)
            with STEP_SECONDS.time():
                step = self._counter.step(
                    event, spec, counts=self._source.counts(event.captured_at), shows=self._source.run is None
                )
            self._dirty = True
            urgent = urgent or bool(step.crossings) or step.end is not None
            self._outbox += [OutboxEvent.of(event) for event in _in_order(step)]
            await self._show(event, step)
        self._torn = False
        if urgent or (self._dirty and time.monotonic() - self._saved_at > CHECKPOINT_EVERY):
            await self.save(position)

    async def save(self, position: StreamPosition) -> None:
        """Store a checkpoint, then publish its new events.

        Raises:
            Fenced: another tracker has this camera.
        """
        held, now = self.order.oldest_held, time.monotonic()
        self._sent = [(at, event) for at, event in self._sent if now - at < UNSYNCED]
        self._saved = self._saved.model_copy(
            update={
                "low_water": position.seq if held is None else held - 1,
                "places": remember(self._saved.places, position),
                "order": self.order.state,
                "counter": self._counter.state(),
                "outbox": (*(event for _, event in self._sent), *self._outbox),
            }
        )
        await self._entry.store(self._saved)
        self._dirty, self._saved_at = False, time.monotonic()
        await publish(self._bus, self._outbox)
        self._sent += [(time.monotonic(), event) for event in self._outbox if event.counts]
        self._outbox.clear()
        if self._source.run is not None:
            await tell_progress(self._bus, self._saved.run, self._saved.store, self._saved.camera, self._saved.order)

    async def save_if_due(self, position: StreamPosition) -> None:
        """Store a checkpoint of an idle camera, if its time has come."""
        age = time.monotonic() - self._saved_at
        if (self._dirty and age > CHECKPOINT_EVERY) or (
            self._saved.low_water < position.seq and age > IDLE_CHECKPOINT_EVERY
        ):
            await self.save(position)

    async def leave(self, position: StreamPosition) -> None:
        """Save a consistent state; from any other, the next owner reads again from the last checkpoint.

        Raises:
            Fenced: another tracker has this camera.
        """
        if not self._torn:
            await self.save(position)

    def restart_waits(self) -> None:
        """Count silence only from now on, as nothing could be read before."""
        self.order.restart_waits(time.monotonic())

    def _change_store(self, store: str) -> None:
        """Continue with the camera in another store."""
        self._saved = self._saved.model_copy(update={"store": store})
        self._counter = CameraCounter.restore(self._saved.run, store, self._saved.camera, self._counter.state())

    async def _show(self, event: Detections, step: Step) -> None:
        if self._source.run is not None:
            REPLAYED.inc()
            return
        FRAMES_TRACKED.labels(event.camera).inc()
        FRAMES_MISSED.labels(event.camera).inc(step.missed)
        if step.missed and event.policy is Policy.EVERY:
            log.warning(
                "frames of a file never came, and are not counted",
                camera=event.camera,
                frames=step.missed,
                before=event.seq,
            )
        for crossing in step.crossings:
            CROSSINGS.labels(event.camera, crossing.direction).inc()
            with bound_contextvars(camera=event.camera, trace=event.traceparent):
                log.info("crossing", line=crossing.line, direction=crossing.direction, seq=crossing.seq)
        if self._bus.connected and self._held():
            try:
                await self._bus.client.publish(tracks(event.run, event.store, event.camera), step.tracks.encode())
            except NatsError:
                return  # at most once: an overlay can miss a frame


class Partition:
    """Reads one partition and counts its cameras until cancelled or fenced."""

    def __init__(self, bus: Bus, source: DetectionSource, number: int, token: str, held: Held = lambda: True) -> None:
        self._bus, self._source, self._number, self._token = bus, source, number, token
        self._held = held
        self._cameras: dict[str, CameraWork] = {}
        self._position = StreamPosition(seq=0)
        self._looked_at = time.monotonic()
        self._deaf = False
        self._behind = False

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
        async with Reader(self._bus, self._source.stream, config) as reader:
            try:
                while True:
                    await self._step(reader)
            finally:
                await self._leave()

    async def _leave(self) -> None:
        """Save all cameras, so that the next owner need not track again; nothing is lost if this fails."""
        with suppress(Fenced, TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT):
                for camera in self._cameras.values():
                    await camera.leave(self._position)

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
        rewound = await rewind_if_restored(self._bus, self._source.stream, checkpoint)
        owned = rewound.model_copy(update={"owner": self._token})
        entry = CheckpointEntry(self._bucket, checkpoint_key(self._source.name, self._number, name), revision)
        await entry.store(owned)
        await publish(self._bus, owned.outbox)
        self._cameras[name] = CameraWork(self._bus, self._source, entry, owned, self._held)
        return owned.low_water

    async def _step(self, reader: Reader) -> None:
        """Handle the next messages, or give up waits for missing frames when their time has come."""
        due = self._due()
        try:
            async with asyncio.timeout(max(SHORTEST_WAIT, due - time.monotonic())):
                msgs = await reader.batch(BATCH)
        except TimeoutError:
            self._deaf = self._deaf or not reader.listening
        else:
            await finish(self._handle_all(msgs), within=lambda: LEAVE_TIMEOUT)
            self._behind = msgs[-1].metadata.num_pending > 0 or not reader.idle
        if self._deaf and reader.listening:
            self._deaf = False
            for camera in self._cameras.values():
                camera.restart_waits()
        if time.monotonic() >= due and reader.listening and not self._behind:
            await finish(self._expire_waits(), within=lambda: LEAVE_TIMEOUT)

    async def _expire_waits(self) -> None:
        now = self._looked_at = time.monotonic()
        for camera in self._cameras.values():
            if self._source.run is None:  # a replay's gaps never time out
                await camera.take(camera.order.expire(now), self._position)
            await camera.save_if_due(self._position)

    def _due(self) -> float:
        """The local time of the next work that no message triggers."""
        if self._deaf or self._behind:  # silence would prove nothing
            return time.monotonic() + LONGEST_WAIT
        deadlines = [camera.order.deadline for camera in self._cameras.values() if self._source.run is None]
        return min([self._looked_at + LONGEST_WAIT, *(deadline for deadline in deadlines if deadline is not None)])

    async def _handle_all(self, msgs: Iterable[Msg]) -> None:
        for msg in msgs:
            await self._handle(msg)

    async def _handle(self, msg: Msg) -> None:
        position = StreamPosition.of(msg)
        if self._source.run is None:
            LAG.labels(self._number).set(msg.metadata.num_pending)
        try:
            event, stored_at = _read(msg), self._source.stored_at(msg)
        except ValueError as error:
            await dead_letter(self._bus, SERVICE, msg, str(error), run=self._source.name)
            self._position = position
            return
        camera = self._cameras.get(event.camera) or await self._admit(event, position.seq)
        arrival = Arrival(event, position.seq, stored_at, time.monotonic())
        self._position = position
        await camera.take(camera.order.offer(arrival), position)
        if self._source.ends_with(msg):
            await camera.take(camera.order.finish(), position)

    async def _admit(self, event: Detections, sequence: int) -> CameraWork:
        """Store the first checkpoint of a camera, before its first detections are tracked."""
        first = Checkpoint(
            run=event.run, store=event.store, camera=event.camera, owner=self._token, low_water=sequence - 1
        )
        entry = CheckpointEntry(self._bucket, checkpoint_key(self._source.name, self._number, event.camera))
        await entry.store(first)
        camera = self._cameras[event.camera] = CameraWork(self._bus, self._source, entry, first, self._held)
        return camera


def _read(msg: Msg) -> Detections:
    event, subject = Detections.model_validate_json(msg.data), parse(msg.subject)
    if (subject.run, subject.store, subject.camera) != (event.run, event.store, event.camera):
        raise ValueError(f"the event names {event.run}/{event.store}/{event.camera}, its subject {msg.subject}")
    return event


def _in_order(step: Step) -> list[Path | Crossing | SessionEnd]:
    return [*step.paths, *step.crossings, *([step.end] if step.end else [])]
