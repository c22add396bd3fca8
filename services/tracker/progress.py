"""Progress of a run's camera, published after each checkpoint: the replay service feeds the run no faster."""

from __future__ import annotations

from contextlib import suppress

from nats.errors import Error as NatsError

from contracts.events import TrackingProgress
from contracts.subjects import progress
from services.kit.nats.bus import Bus
from services.tracker.state import Checkpoint


async def publish_progress(bus: Bus, checkpoint: Checkpoint) -> None:
    """Publish the progress, without waiting for an ack: the next checkpoint's makes up for a lost one."""
    order = checkpoint.order
    event = TrackingProgress(
        run=checkpoint.run,
        store=checkpoint.store,
        camera=checkpoint.camera,
        session=order.session,
        seq=None if order.last is None else order.last.seq,
        captured_at=None if order.last is None else order.last.captured_at,
        ended=order.ended,
    )
    with suppress(NatsError):  # the connection is closed
        await bus.send(progress(event.run, event.store, event.camera), event.encode())
