"""Checkpoints: a camera's saved state, compare-and-set, with an outbox. The heart of exactly-once.

The tracker acknowledges nothing. What it has made of the stream up to `low_water` is in one key-value entry: the order,
the tracks, and the outbox, the events made since the last checkpoint. An event is published only after the checkpoint
that holds it is stored. Whoever takes over first rewrites the entry with its own token, which fences the old owner: its
next compare-and-set fails, so it publishes nothing more. Then the outbox is published again (same ids) and the stream
is read on from the low water.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue
from pydantic import BaseModel, ConfigDict

from contracts.checkpoints import checkpoint_key
from contracts.events import Crossing, Path, SessionEnd
from contracts.streams import CHECKPOINTS
from contracts.subjects import Kind, crossings, parse, paths
from services.kit.logs import logger
from services.kit.nats.bus import Backoff, Bus
from services.kit.nats.stream_position import StreamPosition, newest_valid
from services.tracker.counting.camera_counter import CounterState
from services.tracker.ordering import OrderState

log = logger()


class Fenced(Exception):
    """Another tracker has taken this camera over: drop it, publish nothing."""


class OutboxEvent(BaseModel):
    """An event on its way out."""

    model_config = ConfigDict(frozen=True)

    subject: str
    msg_id: str
    payload: str

    @property
    def counts(self) -> bool:
        """Whether counts depend on it: a crossing or the end of a session."""
        return parse(self.subject).kind is Kind.CROSSINGS

    @classmethod
    def of(cls, event: Crossing | SessionEnd | Path) -> OutboxEvent:
        """An event with its subject and its deduplication key."""
        subject = paths if isinstance(event, Path) else crossings
        return cls(
            subject=subject(event.run, event.store, event.camera),
            msg_id=f"{event.run}/{event.id}",
            payload=event.encode().decode(),
        )


class Checkpoint(BaseModel):
    """One camera's saved state.

    `low_water` is the number in the detections stream up to which everything is in here, `places` are messages that the
    stream had by then, the newest first: where they are others now, the number means nothing. `owner` is the token of
    the process that wrote it. `outbox` also has what counts of the last seconds: JetStream may not have synced it.
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
    outbox: tuple[OutboxEvent, ...] = ()


@dataclass(slots=True)
class Slot:
    """One camera's entry in the bucket, written by compare-and-set on the revision that this process wrote last."""

    bucket: KeyValue
    key: str
    revision: int | None = None

    async def store(self, checkpoint: Checkpoint) -> None:
        """Write the entry; waits through an outage of the broker.

        Raises:
            Fenced: somebody else wrote it since.
        """
        value = checkpoint.model_dump_json(exclude_defaults=True).encode()
        backoff, told = Backoff(), False
        while True:
            try:
                if self.revision is None:
                    self.revision = await self.bucket.create(self.key, value)
                else:
                    self.revision = await self.bucket.update(self.key, value, last=self.revision)
            except KeyWrongLastSequenceError:
                await self._recognise(value)
                return
            except (NatsError, TimeoutError, OSError) as error:
                if not told:
                    log.warning("a checkpoint waits", key=self.key, reason=str(error) or type(error).__name__)
                    told = True
                await backoff.wait()
            else:
                return

    async def _recognise(self, value: bytes) -> None:
        """A refused write may be our own, stored by a broker that died before it could say so."""
        backoff = Backoff()
        while True:
            try:
                entry = await self.bucket.get(self.key)
            except KeyNotFoundError as error:
                raise Fenced(f"{self.key} was deleted") from error
            except (NatsError, TimeoutError, OSError):
                await backoff.wait()
                continue
            if entry.value != value or entry.revision is None:
                raise Fenced(f"{self.key} was taken over by another tracker")
            self.revision = entry.revision
            return


async def load(bus: Bus, bucket: KeyValue, run: str, partition: int) -> dict[str, tuple[Checkpoint, int]]:
    """The checkpoints of a partition's cameras, each with its revision."""
    prefix = f"$KV.{CHECKPOINTS.name}."
    info = await bus.js.stream_info(
        f"KV_{CHECKPOINTS.name}", subjects_filter=prefix + checkpoint_key(run, partition, "*")
    )
    found: dict[str, tuple[Checkpoint, int]] = {}
    for subject in info.state.subjects or {}:
        try:
            entry = await bucket.get(subject.removeprefix(prefix))
        except KeyNotFoundError:
            continue  # somebody deleted it, to have the camera begin anew
        if entry.value is not None and entry.revision is not None:
            checkpoint = Checkpoint.model_validate_json(entry.value)
            found[checkpoint.camera] = (checkpoint, entry.revision)
    return found


async def recognise(bus: Bus, stream: str, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint, with its low water where the stream is still the one that it knows.

    After a power cut the stream may lack its last messages, and others have their numbers by now. What is read a second
    time is recognised by the camera's order.

    Raises:
        nats.errors.Error, TimeoutError, OSError: the server does not say.
    """
    low = checkpoint.low_water
    places = checkpoint.places or (StreamPosition(seq=low),)
    holds = await newest_valid(bus, stream, places)
    if holds == places[0]:
        return checkpoint
    if holds is None:
        log.warning("the detections stream was made anew; reading it from its beginning", camera=checkpoint.camera)
        return checkpoint.model_copy(update={"low_water": 0, "places": ()})
    position = min(low, holds.seq)
    log.warning(
        "detections were lost, as in a power cut; reading on from before them",
        camera=checkpoint.camera,
        position=position,
        instead_of=low,
    )
    return checkpoint.model_copy(update={"low_water": position, "places": places[places.index(holds) :]})


async def publish(bus: Bus, outbox: Sequence[OutboxEvent]) -> None:
    """Publish an outbox, in order."""
    for event in outbox:
        await bus.publish(event.subject, event.payload.encode(), msg_id=event.msg_id)
