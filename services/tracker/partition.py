"""One partition: reads its detections in stream order, and keeps each of its cameras."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
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
from services.kit.nats.bus import Backoff, Bus
from services.kit.nats.consumer import Reader
from services.kit.nats.dead_letters import dead_letter
from services.kit.nats.stream_position import StreamPosition, remember
from services.kit.tasks import cancel_and_wait
from services.tracker.checkpoint import Checkpoint, Fenced, OutboxEvent, Slot, load, publish, recognise
from services.tracker.counting.camera_counter import CameraCounter, Step
from services.tracker.ordering import Arrival, Sequencer
from services.tracker.source import Feed

SERVICE = "tracker"
CHECKPOINT_EVERY = 1.0
"""Seconds between checkpoints while nothing crosses: what a crash makes the next owner track again."""
IDLE_CHECKPOINT_EVERY = 30.0
"""Seconds after which a quiet camera's low water is moved up, so that a restart does not read on from long ago."""
UNSYNCED = 5.0
"""Seconds for which crossings stay in the outbox though they were published: JetStream syncs every second."""
LEAVE_TIMEOUT = 3.0
LONGEST_WAIT, SHORTEST_WAIT = 0.5, 0.02
BATCH = 32
"""Messages that are handled in one go where so many have come: some milliseconds of work."""

FRAMES_TRACKED = Counter("metrica_tracker_frames_total", "Frames tracked", ["camera"])
FRAMES_MISSED = Counter("metrica_tracker_missed_total", "Frames of live cameras that no detector saw", ["camera"])
CROSSINGS = Counter("metrica_tracker_crossings_total", "Crossings found", ["camera", "direction"])
REPLAYED = Counter("metrica_tracker_replayed_frames_total", "Frames tracked in runs beside the live one")
STEP_SECONDS = Histogram(
    "metrica_tracker_step_seconds", "Tracking of one frame", buckets=[1e-4 * 2**n for n in range(12)]
)
LAG = Gauge("metrica_tracker_lag_messages", "Detections not read yet", ["partition"])

Held = Callable[[], bool]
"""Whether nobody else can have the partition yet: what no checkpoint fences is only then published."""

log = logger()


class CameraWork:
    """One camera: its order, its counter, its checkpoint."""

    def __init__(self, bus: Bus, feed: Feed, slot: Slot, checkpoint: Checkpoint, held: Held) -> None:
        self._bus, self._feed, self._slot, self._saved, self._held = bus, feed, slot, checkpoint, held
        self.order = Sequencer(checkpoint.order)
        self._counter = CameraCounter.restore(checkpoint.run, checkpoint.store, checkpoint.camera, checkpoint.counter)
        self._outbox: list[OutboxEvent] = []
        self._sent = [(time.monotonic(), event) for event in checkpoint.outbox]
        self._dirty = False
        self._torn = False
        """Whether the order has let events go that the counter has not taken yet: nothing to be saved."""
        self._saved_at = time.monotonic()

    async def take(self, ready: Iterable[Detections], position: StreamPosition) -> None:
        """Track what is in order; a crossing or an end is saved, then published, at once.

        Raises:
            Fenced: another tracker has this camera.
        """
        urgent, self._torn = False, True
        for event in ready:
            if event.store != self._saved.store:
                self._move(event.store)
            spec = await self._feed.specs.get(event.camera, event.spec_revision)
            with STEP_SECONDS.time():
                step = self._counter.step(
                    event, spec, counts=self._feed.counts(event.captured_at), shows=self._feed.beside is None
                )
            self._dirty = True
            urgent = urgent or bool(step.crossings) or step.end is not None
            self._outbox += [OutboxEvent.of(event) for event in _in_order(step)]
            await self._show(event, step)
        self._torn = False
        if urgent or (self._dirty and time.monotonic() - self._saved_at > CHECKPOINT_EVERY):
            await self.save(position)

    async def save(self, position: StreamPosition) -> None:
        """Store a checkpoint, then publish what it holds.

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
        await self._slot.store(self._saved)
        self._dirty, self._saved_at = False, time.monotonic()
        await publish(self._bus, self._outbox)
        self._sent += [(time.monotonic(), event) for event in self._outbox if event.counts]
        self._outbox.clear()

    async def save_if_due(self, position: StreamPosition) -> None:
        """Checkpoint a camera that has gone quiet."""
        age = time.monotonic() - self._saved_at
        if (self._dirty and age > CHECKPOINT_EVERY) or (
            self._saved.low_water < position.seq and age > IDLE_CHECKPOINT_EVERY
        ):
            await self.save(position)

    async def leave(self, position: StreamPosition) -> None:
        """Save what is whole; what is not is read again from the last checkpoint.

        Raises:
            Fenced: another tracker has this camera.
        """
        if not self._torn:
            await self.save(position)

    def wait_anew(self) -> None:
        """Nothing could be read until now: only from now on does silence mean that nothing came."""
        self.order.wait_anew(time.monotonic())

    def _move(self, store: str) -> None:
        """The camera hangs in another store from now on."""
        self._saved = self._saved.model_copy(update={"store": store})
        self._counter = CameraCounter.restore(self._saved.run, store, self._saved.camera, self._counter.state())

    async def _show(self, event: Detections, step: Step) -> None:
        if self._feed.beside is not None:
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
                return  # at most once: overlays do without


class Partition:
    """Reads one partition and counts its cameras until cancelled or fenced."""

    def __init__(self, bus: Bus, feed: Feed, number: int, token: str, held: Held = lambda: True) -> None:
        self._bus, self._feed, self._number, self._token = bus, feed, number, token
        self._held = held
        self._cameras: dict[str, CameraWork] = {}
        self._position = StreamPosition(seq=0)
        self._looked_at = time.monotonic()
        self._deaf = False
        self._behind = False

    async def run(self) -> None:
        """Take the partition over, and read on.

        Raises:
            Fenced: another tracker has taken over.
        """
        self._bucket = await self._bus.bucket(CHECKPOINTS)
        start = await self._take_over()
        config = ConsumerConfig(
            filter_subject=partition_filter(self._feed.name, self._number),
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
        )
        self._position = StreamPosition(seq=start - 1)
        async with Reader(self._bus, self._feed.stream, config) as reader:
            try:
                while True:
                    await self._turn(reader)
            finally:
                await self._leave()

    async def _leave(self) -> None:
        """Spare the next owner the way back; nothing is lost where this does not succeed."""
        with suppress(Fenced, TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT):
                for camera in self._cameras.values():
                    await camera.leave(self._position)

    async def _take_over(self) -> int:
        """Fence the last owner, publish what it may not have, and find where to read on."""
        backoff = Backoff()
        while True:
            try:
                found = await load(self._bus, self._bucket, self._feed.name, self._number)
                return 1 + min([await self._take_camera(*one) for one in found.values()], default=0)
            except Fenced:  # the last owner wrote once more in between: that is its last word now
                log.info("a checkpoint moved on while it was taken over", partition=self._number)
            except (NatsError, TimeoutError, OSError) as error:
                log.debug("waiting to take a partition", partition=self._number, reason=str(error))
                await backoff.wait()

    async def _take_camera(self, checkpoint: Checkpoint, revision: int) -> int:
        """Make a camera this process's own. Returns its low water.

        Raises:
            Fenced: somebody else wrote its checkpoint meanwhile.
        """
        name = checkpoint.camera
        here = await recognise(self._bus, self._feed.stream, checkpoint)
        mine = here.model_copy(update={"owner": self._token})
        slot = Slot(self._bucket, checkpoint_key(self._feed.name, self._number, name), revision)
        await slot.store(mine)
        await publish(self._bus, mine.outbox)
        self._cameras[name] = CameraWork(self._bus, self._feed, slot, mine, self._held)
        return mine.low_water

    async def _turn(self, reader: Reader) -> None:
        """Handle what comes next. Where nothing does, look whether somebody has waited long enough."""
        due = self._due()
        try:
            async with asyncio.timeout(max(SHORTEST_WAIT, due - time.monotonic())):
                msgs = await reader.batch(BATCH)
        except TimeoutError:
            self._deaf = self._deaf or not reader.listening
        else:
            await _whole(self._handle_all(msgs))
            self._behind = msgs[-1].metadata.num_pending > 0 or not reader.idle
        if self._deaf and reader.listening:
            self._deaf = False
            for camera in self._cameras.values():
                camera.wait_anew()
        if time.monotonic() >= due and reader.listening and not self._behind:
            await _whole(self._wait_no_longer())

    async def _wait_no_longer(self) -> None:
        now = self._looked_at = time.monotonic()
        for camera in self._cameras.values():
            if self._feed.beside is None:  # what is replayed was waited for when it came first
                await camera.take(camera.order.waited(now), self._position)
            await camera.save_if_due(self._position)

    def _due(self) -> float:
        """The local time at which there is something to do even if nothing comes."""
        if self._deaf or self._behind:  # silence would mean nothing
            return time.monotonic() + LONGEST_WAIT
        deadlines = [camera.order.deadline for camera in self._cameras.values() if self._feed.beside is None]
        return min([self._looked_at + LONGEST_WAIT, *(deadline for deadline in deadlines if deadline is not None)])

    async def _handle_all(self, msgs: Iterable[Msg]) -> None:
        for msg in msgs:
            await self._handle(msg)

    async def _handle(self, msg: Msg) -> None:
        place = StreamPosition.of(msg)
        if self._feed.beside is None:
            LAG.labels(self._number).set(msg.metadata.num_pending)
        try:
            event, stored_at = _read(msg), self._feed.stored_at(msg)
        except ValueError as error:
            await dead_letter(self._bus, SERVICE, msg, str(error), run=self._feed.name)
            self._position = place
            return
        camera = self._cameras.get(event.camera) or await self._admit(event, place.seq)
        arrival = Arrival(event, place.seq, stored_at, time.monotonic())
        self._position = place
        await camera.take(camera.order.offer(arrival), place)
        if self._feed.ends_with(msg):
            await camera.take(camera.order.finish(), place)

    async def _admit(self, event: Detections, sequence: int) -> CameraWork:
        """A camera's first detections: its checkpoint is made before anything is made of them."""
        first = Checkpoint(
            run=event.run, store=event.store, camera=event.camera, owner=self._token, low_water=sequence - 1
        )
        slot = Slot(self._bucket, checkpoint_key(self._feed.name, self._number, event.camera))
        await slot.store(first)
        camera = self._cameras[event.camera] = CameraWork(self._bus, self._feed, slot, first, self._held)
        return camera


def _read(msg: Msg) -> Detections:
    event, named = Detections.model_validate_json(msg.data), parse(msg.subject)
    if (named.run, named.store, named.camera) != (event.run, event.store, event.camera):
        raise ValueError(f"the event names {event.run}/{event.store}/{event.camera}, its subject {msg.subject}")
    return event


async def _whole(work: Coroutine[None, None, None]) -> None:
    """Do a piece of work to its end even when cancelled in it, if it ends soon: half of one is nobody's."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=LEAVE_TIMEOUT)
        await cancel_and_wait(task)
        raise


def _in_order(step: Step) -> list[Path | Crossing | SessionEnd]:
    return [*step.paths, *step.crossings, *([step.end] if step.end else [])]
