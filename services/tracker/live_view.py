"""The view of frames at once: metrics, lines in the log, live tracks. Nothing that is stored depends on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from nats.errors import Error as NatsError
from prometheus_client import Counter

from contracts.events import Detections
from contracts.identity import Policy
from contracts.subjects import tracks
from services.kit.logs import bound_contextvars, logger
from services.kit.nats.bus import Bus
from services.tracker.counting.camera_counter import Step
from services.tracker.source import DetectionSource
from services.tracker.state import Tracked

FRAMES_TRACKED = Counter("metrica_tracker_frames_total", "Frames tracked", ["camera"])
FRAMES_MISSED = Counter("metrica_tracker_missed_total", "Frames of live cameras that no detector saw", ["camera"])
CROSSINGS = Counter("metrica_tracker_crossings_total", "Crossings found", ["camera", "direction"])
REPLAYED = Counter("metrica_tracker_replayed_frames_total", "Frames tracked in runs beside the live one")

Held = Callable[[], bool]
"""True while no other replica can have the partition. Events that no checkpoint fences are published only then."""

log = logger()


class LiveView:
    """Shows tracked frames: those of the live run one by one, those of a run beside it as a number."""

    def __init__(self, bus: Bus, source: DetectionSource, held: Held) -> None:
        self._bus, self._source, self._held = bus, source, held

    async def show(self, tracked: Sequence[Tracked]) -> None:
        """Count, log and publish, at most once: an overlay can miss a frame."""
        if self._source.run is not None:
            REPLAYED.inc(len(tracked))
            return
        for event, step in tracked:
            _report(event, step)
            if self._bus.connected and self._held():
                with suppress(NatsError):
                    await self._bus.send(tracks(event.run, event.store, event.camera), step.tracks.encode())


def _report(event: Detections, step: Step) -> None:
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
