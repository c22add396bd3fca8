"""One camera of a partition: its state, saved at the right moments, and then its events, published."""

from __future__ import annotations

import time

from services.kit.nats.bus import Bus
from services.kit.nats.consumers.stream_position import StreamPosition
from services.tracker.checkpoint import CheckpointEntry, publish
from services.tracker.progress import publish_progress
from services.tracker.source import DetectionSource
from services.tracker.state import CameraState, Checkpoint

CHECKPOINT_EVERY = 1.0
"""Seconds between checkpoints without crossings: so much must the next owner track again after a crash."""
IDLE_CHECKPOINT_EVERY = 30.0
"""Seconds after which an idle camera's low-water mark is moved up, so that a restart need not read a long past."""
UNSYNCED = 5.0
"""Seconds for which published crossings stay in the outbox, as JetStream syncs only every second."""


class CameraWork:
    """A camera's state and its checkpoint.

    Args:
        bus: the connection.
        source: of the camera's detections.
        entry: of the checkpoint, owned by this process.
        checkpoint: as stored there.
    """

    def __init__(self, bus: Bus, source: DetectionSource, entry: CheckpointEntry, checkpoint: Checkpoint) -> None:
        self._bus, self._entry, self._is_run = bus, entry, source.run is not None
        self.state = CameraState(checkpoint, counts=source.counts, shows=source.run is None)
        self._sent = [(time.monotonic(), event) for event in checkpoint.outbox]
        self._saved_at = time.monotonic()

    async def save_if_due(self, position: StreamPosition) -> None:
        """Save after a crossing or a session's end at once, after other frames and in silence from time to time.

        Args:
            position: up to which the stream is in the state.

        Raises:
            Fenced: another tracker has this camera.
        """
        state, age = self.state, time.monotonic() - self._saved_at
        behind = state.low_water < position.seq
        if state.urgent or (state.changed and age > CHECKPOINT_EVERY) or (behind and age > IDLE_CHECKPOINT_EVERY):
            await self.save(position)

    async def save(self, position: StreamPosition) -> None:
        """Store a checkpoint, then publish its new events. Cancelled at any point, it can be called again.

        Args:
            position: up to which the stream is in the state.

        Raises:
            Fenced: another tracker has this camera.
        """
        state, now = self.state, time.monotonic()
        self._sent = [(at, event) for at, event in self._sent if now - at < UNSYNCED]
        saved = state.checkpoint(position, [event for _, event in self._sent])
        await self._entry.store(saved)
        await publish(self._bus, state.outbox)
        self._saved_at = time.monotonic()
        self._sent += [(self._saved_at, event) for event in state.outbox if event.counts]
        state.settle()
        if self._is_run:
            await publish_progress(self._bus, saved)
