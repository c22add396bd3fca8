"""Progress of a run's camera, told after each checkpoint to the replay service, which feeds the run no faster."""

from __future__ import annotations

from nats.errors import Error as NatsError

from contracts.events import TrackingProgress
from contracts.subjects import progress
from services.kit.nats.bus import Bus
from services.tracker.ordering import OrderState


async def tell_progress(bus: Bus, run: str, store: str, camera: str, order: OrderState) -> None:
    """Publish the progress, without waiting for an ack: the next checkpoint's makes up for a lost one."""
    last = order.last
    told = TrackingProgress(
        run=run,
        store=store,
        camera=camera,
        session=order.session,
        seq=None if last is None else last.seq,
        captured_at=None if last is None else last.captured_at,
        ended=order.ended,
    )
    try:
        await bus.client.publish(progress(run, store, camera), told.encode())
    except NatsError:
        return  # the connection is closed
