"""A camera's state, and the step from one to the next. Nothing here awaits: no step can be cut in half."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from prometheus_client import Histogram
from pydantic import BaseModel, ConfigDict

from contracts.events import Coverage, Crossing, Detections, Path, SessionEnd
from contracts.spec import CameraSpec
from contracts.subjects import Kind, coverage, crossings, parse, paths
from services.kit.nats.consumers.stream_position import StreamPosition, remember
from services.tracker.counting.camera_counter import CameraCounter, CounterState, Step
from services.tracker.counting.coverage import OpenInterval, close, extend
from services.tracker.ordering import Arrival, OrderState, Sequencer

STEP_SECONDS = Histogram(
    "metrica_tracker_step_seconds", "Tracking of one frame", buckets=[1e-4 * 2**n for n in range(12)]
)


class OutboxEvent(BaseModel):
    """An event to be published."""

    model_config = ConfigDict(frozen=True)

    subject: str
    msg_id: str
    payload: str

    @property
    def counts(self) -> bool:
        """True where counts depend on it: a crossing, the end of a session, or coverage."""
        return parse(self.subject).kind in {Kind.CROSSINGS, Kind.COVERAGE}

    @classmethod
    def of(cls, event: Crossing | SessionEnd | Path | Coverage) -> OutboxEvent:
        """An event with its subject and its deduplication key."""
        subject, key = crossings, f"{event.run}/{event.id}"
        if isinstance(event, Path):
            subject = paths
        elif isinstance(event, Coverage):
            subject, key = coverage, f"{key}/{event.until}"  # it is sent again as it grows
        payload = event.encode().decode()
        return cls(subject=subject(event.run, event.store, event.camera), msg_id=key, payload=payload)


class Checkpoint(BaseModel):
    """One camera's saved state.

    Attributes:
        owner: token of the process that wrote it.
        low_water: sequence number in the detections stream up to which all messages are in this state.
        places: positions of messages in the stream by then, the newest first: if the stream has others there now, it
            was restored, and `low_water` is void.
        covered: the interval since when the camera has been counted without a gap.
        outbox: events that may not be published yet, and crossings, session ends and coverage of the last seconds,
            which JetStream may not have synced.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    run: str
    store: str
    camera: str
    owner: str
    low_water: int
    places: tuple[StreamPosition, ...] = ()
    order: OrderState = OrderState()
    counter: CounterState = CounterState()
    covered: OpenInterval | None = None
    outbox: tuple[OutboxEvent, ...] = ()


class Tracked(NamedTuple):
    """Detections that were tracked, and what came of them."""

    event: Detections
    step: Step


class CameraState:
    """A camera's state between two checkpoints: the order of its detections, its counter, and new events.

    Args:
        checkpoint: the state to go on from.
        counts: tells whether crossings decided by a frame of this time, ns, count.
        shows: False leaves out the live tracks.
    """

    def __init__(self, checkpoint: Checkpoint, *, counts: Callable[[int], bool], shows: bool) -> None:
        self._saved, self._counts, self._shows = checkpoint, counts, shows
        self._order = Sequencer(checkpoint.order)
        self._counter = CameraCounter.restore(checkpoint.run, checkpoint.store, checkpoint.camera, checkpoint.counter)
        self._covered = checkpoint.covered
        self.outbox: list[OutboxEvent] = []
        """Events since the last checkpoint."""
        self.urgent = False
        """True where the outbox has a crossing or the end of a session."""
        self.changed = False
        """True where frames were tracked since the last checkpoint."""

    @property
    def low_water(self) -> int:
        """The low-water mark of the last checkpoint."""
        return self._saved.low_water

    def revisions(self, arrivals: Iterable[Arrival] = ()) -> set[int]:
        """The revisions of the camera's spec by which the next events may have to be tracked."""
        return self._order.revisions | {arrival.event.spec_revision for arrival in arrivals}

    def deadline(self, caught_up_since: float) -> float:
        """The local time at which `expire` has something to do; inf without a frame that is waited for."""
        return self._order.deadline(caught_up_since)

    def advance(self, arrivals: Iterable[Arrival], specs: Mapping[int, CameraSpec]) -> list[Tracked]:
        """Take arrivals, in stream order, and track what is now in order.

        Args:
            arrivals: of this camera.
            specs: of this camera, for all `revisions`.
        """
        tracked: list[Tracked] = []
        for arrival in arrivals:
            tracked += self._track(self._order.offer(arrival), specs)
            if arrival.final:
                tracked += self._track(self._order.finish(), specs)
        return tracked

    def expire(self, now: float, caught_up_since: float, specs: Mapping[int, CameraSpec]) -> list[Tracked]:
        """Give up waits that end by `now` in silence, and track what is then in order; see `Sequencer.expire`."""
        return self._track(self._order.expire(now, caught_up_since), specs)

    def checkpoint(self, position: StreamPosition, sent: Iterable[OutboxEvent]) -> Checkpoint:
        """The checkpoint of this state.

        Args:
            position: up to which the stream was read.
            sent: published events that it keeps.
        """
        held = self._order.oldest_held
        self._saved = self._saved.model_copy(
            update={
                "low_water": position.seq if held is None else held - 1,
                "places": remember(self._saved.places, position),
                "order": self._order.state,
                "counter": self._counter.state(),
                "covered": self._covered,
                "outbox": (*sent, *self.outbox),
            }
        )
        return self._saved

    def settle(self) -> None:
        """Drop the outbox, as a checkpoint has it and its events are published."""
        self.outbox.clear()
        self.urgent = self.changed = False

    def _track(self, ready: Iterable[Detections], specs: Mapping[int, CameraSpec]) -> list[Tracked]:
        tracked = []
        for event in ready:
            if event.store != self._saved.store:
                self._change_store(event.store)
            spec, counts = specs[event.spec_revision], self._counts(event.captured_at)
            with STEP_SECONDS.time():
                step = self._counter.step(event, spec, counts=counts, shows=self._shows)
            self.changed = True
            self.urgent = self.urgent or bool(step.crossings) or step.end is not None
            ends = () if step.end is None else (step.end,)
            covered = self._cover(event, spec) if counts else ()
            self.outbox += [OutboxEvent.of(made) for made in (*step.paths, *step.crossings, *covered, *ends)]
            tracked.append(Tracked(event, step))
        return tracked

    def _cover(self, event: Detections, spec: CameraSpec) -> list[Coverage]:
        """Note that a frame was counted; returns what is to be reported."""
        if event.end is not None:
            self._covered, grown = None, close(self._covered)
        elif event.skipped is not None:
            return []
        else:
            lines = (line.id for line in spec.lines)
            self._covered, grown = extend(self._covered, event.session, lines, event.captured_at)
        return [self._coverage(interval) for interval in grown]

    def _coverage(self, interval: OpenInterval) -> Coverage:
        run, camera = self._saved.run, self._saved.camera
        return Coverage(
            run=run,
            id=Coverage.identify(camera, interval.session, interval.start),
            store=self._saved.store,
            camera=camera,
            session=interval.session,
            lines=interval.lines,
            start=interval.start,
            until=interval.until,
        )

    def _change_store(self, store: str) -> None:
        """Continue with the camera in another store."""
        self.outbox += [OutboxEvent.of(self._coverage(interval)) for interval in close(self._covered)]
        self._covered = None
        self._saved = self._saved.model_copy(update={"store": store})
        self._counter = CameraCounter.restore(self._saved.run, store, self._saved.camera, self._counter.state())
