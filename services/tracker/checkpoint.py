"""Storing checkpoints: a camera's state with an outbox, by compare-and-set. The base of exactly-once counting.

The tracker acks no message. Its state after the stream up to `low_water` is in one key-value entry: the order, the
tracks, and the outbox, which has the events made since the last checkpoint. An event is published only after the
checkpoint that holds it is stored. A new owner first rewrites the entry with its own token, which fences the old owner:
its next compare-and-set fails, so it publishes nothing more. Then the new owner publishes the outbox again (same ids)
and reads the stream on from the low-water mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from contracts.checkpoints import checkpoint_key
from contracts.streams import CHECKPOINTS
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.stream_position import StreamPosition, newest_valid
from services.kit.retry import retry
from services.tracker.state import Checkpoint, OutboxEvent

log = logger()


class Fenced(Exception):
    """Another tracker has taken this camera over: drop it, and publish nothing more."""


@dataclass(slots=True)
class CheckpointEntry:
    """One camera's entry in the bucket, written by compare-and-set on the last revision of this process."""

    bucket: KeyValue
    key: str
    revision: int | None = None
    unanswered: set[bytes] = field(default_factory=set)
    """Values that this process may have stored since the revision: their answers did not come, or were not awaited."""

    async def store(self, checkpoint: Checkpoint) -> None:
        """Write the entry; waits through an outage of the broker.

        Raises:
            Fenced: another process has written it since.
        """
        value = checkpoint.model_dump_json(exclude_defaults=True).encode()
        self.unanswered.add(value)
        await retry(lambda: self._store_once(value), "a checkpoint waits", key=self.key)
        self.unanswered.clear()

    async def _store_once(self, value: bytes) -> None:
        try:
            if self.revision is None:
                self.revision = await self.bucket.create(self.key, value)
            else:
                self.revision = await self.bucket.update(self.key, value, last=self.revision)
        except KeyWrongLastSequenceError:
            if await self._confirm() != value:
                await self._store_once(value)

    async def _confirm(self) -> bytes:
        """Check whether a refused write is already stored, or one that was cancelled: no answer came for it.

        Returns:
            the entry's value, written by this process.

        Raises:
            Fenced: another process has written the entry.
        """
        try:
            entry = await retry(lambda: self.bucket.get(self.key), is_permanent=_is_deleted)
        except KeyNotFoundError as error:
            raise Fenced(f"{self.key} was deleted") from error
        if entry.value not in self.unanswered or entry.revision is None:
            raise Fenced(f"{self.key} was taken over by another tracker")
        self.revision = entry.revision
        return entry.value


def _is_deleted(error: Exception) -> bool:
    return isinstance(error, KeyNotFoundError)


async def load(bus: Bus, bucket: KeyValue, run: str, partition: int) -> dict[str, tuple[Checkpoint, int]]:
    """The checkpoints of a partition's cameras, each with its revision."""
    prefix = f"$KV.{CHECKPOINTS.name}."
    info = await bus.js.stream_info(
        f"KV_{CHECKPOINTS.name}", subjects_filter=prefix + checkpoint_key(run, partition, "*")
    )
    checkpoints: dict[str, tuple[Checkpoint, int]] = {}
    for subject in info.state.subjects or {}:
        try:
            entry = await bucket.get(subject.removeprefix(prefix))
        except KeyNotFoundError:
            continue  # an operator deleted it, to have the camera begin anew
        if entry.value is not None and entry.revision is not None:
            checkpoint = Checkpoint.model_validate_json(entry.value)
            checkpoints[checkpoint.camera] = (checkpoint, entry.revision)
    return checkpoints


async def rewind_if_restored(bus: Bus, stream: str, checkpoint: Checkpoint) -> Checkpoint:
    """Move a checkpoint's low-water mark back to where the stream still has the messages that it had then.

    After a power cut the stream may lack its last messages, and have given their numbers to others. Messages that are
    thus read a second time are dropped by the camera's order.

    Raises:
        nats.errors.Error, TimeoutError, OSError: the server does not answer.
    """
    low = checkpoint.low_water
    positions = checkpoint.places or (StreamPosition(seq=low),)
    valid = await newest_valid(bus, stream, positions)
    if valid == positions[0]:
        return checkpoint
    if valid is None:
        log.warning("the detections stream was made anew; reading it from its beginning", camera=checkpoint.camera)
        return checkpoint.model_copy(update={"low_water": 0, "places": ()})
    position = min(low, valid.seq)
    log.warning(
        "detections were lost, as in a power cut; reading on from before them",
        camera=checkpoint.camera,
        position=position,
        instead_of=low,
    )
    return checkpoint.model_copy(update={"low_water": position, "places": positions[positions.index(valid) :]})


async def publish(bus: Bus, outbox: Sequence[OutboxEvent]) -> None:
    """Publish an outbox, in order."""
    for event in outbox:
        await bus.publish(event.subject, event.payload.encode(), msg_id=event.msg_id)
