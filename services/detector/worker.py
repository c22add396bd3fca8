"""The work of one pool on one replica, in three stages: take frames, infer their detections, answer.

A frame is acked after its detections are stored. A frame that cannot be analysed gives a skipped event and a dead
letter, so that a tracker never waits for a frame that will not come.

Where the detector supports batches, all frames that have arrived, of any cameras, are analysed together. There is no
wait for a batch to fill: it grows by itself where frames arrive faster than they are analysed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TypeVar

from nats.errors import Error as NatsError
from prometheus_client import Counter, Gauge, Histogram

from contracts.events import Detections
from contracts.identity import LIVE, Policy
from contracts.streams import FRAMES, KEPT, Owner, run_streams
from contracts.subjects import Kind, detections
from services.detector.attempts import Attempts
from services.detector.backends.protocol import BatchDetector, Detector, LearningDetector
from services.detector.inference import analyze, analyze_batch
from services.detector.intake import Delivery, Intake
from services.detector.pools import asks_for
from services.detector.views import Views
from services.kit.logs import bound_contextvars, logger
from services.kit.nats.bus import Bus
from services.kit.nats.dead_letters import dead_letter
from services.kit.nats.runs import Runs

MOST_ATTEMPTS = 3
"""Attempts without an answer after which a frame is given up."""
RETRY_DELAY = 0.5
LEAVE_TIMEOUT = 2.0
"""Seconds that the last answer may take at an orderly end."""

FRAMES_SEEN = Counter("metrica_detector_frames_total", "Frames looked at", ["pool"])
FRAMES_SKIPPED = Counter("metrica_detector_skipped_total", "Frames that could not be looked at", ["pool"])
DETECT_SECONDS = Histogram("metrica_detector_seconds", "Decoding and inference of one frame", ["pool"])
FRAME_AGE = Gauge(
    "metrica_detector_frame_age_seconds", "Age of the last live frame when it had been looked at", ["pool"]
)

T = TypeVar("T")

log = logger()


class PoolWorker:
    """Analyses the frames of one pool with one detector."""

    def __init__(self, bus: Bus, pool: str, detector: Detector, thread: ThreadPoolExecutor, runs: Runs) -> None:
        self._bus, self._pool, self._detector, self._thread, self._runs = bus, pool, detector, thread, runs
        self._attempts = Attempts(bus)
        self._views: Views | None = None

    async def run(self) -> None:
        """Work on both of the pool's live streams, and on the streams of runs, until cancelled."""
        if isinstance(self._detector, LearningDetector):  # anew: another replica may have saved newer backgrounds
            self._views = Views(self._bus, self._detector, self._thread)
        batch = self._detector.batch if isinstance(self._detector, BatchDetector) else 1
        take = Intake(self._bus, self._pool, batch).take
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work(take(LIVE, FRAMES, Kind.FRAMES)))
            group.create_task(self._work(take(LIVE, KEPT, Kind.KEPT)))
            group.create_task(
                self._runs.each(
                    lambda run: self._work(take(run.name, run_streams(run.name).kept, Kind.KEPT)),
                    matching=lambda run: asks_for(run, self._pool),
                )
            )

    async def _work(self, taken: AsyncGenerator[list[Delivery], None]) -> None:
        answering: asyncio.Task[None] | None = None
        async with aclosing(taken):
            try:
                async for deliveries in taken:
                    await self._infer(deliveries)
                    if answering is not None:
                        await answering
                    # Published while the next frames are analysed, but never two at a time, which keeps their order.
                    answering = asyncio.create_task(self._answer(deliveries))
            finally:
                if answering is not None:
                    await asyncio.wait([answering], timeout=LEAVE_TIMEOUT)
                    answering.cancel()  # nothing is lost: the frames are redelivered

    async def _infer(self, deliveries: Sequence[Delivery]) -> None:
        """Set the events of frames, in their order; not of those that are to be tried again."""
        # A redelivered frame may have broken the detector, or its process: it is analysed alone.
        await self._infer_batch([delivery for delivery in deliveries if delivery.is_first])
        for delivery in deliveries:
            frame = delivery.item.frame
            with bound_contextvars(camera=frame.camera, trace=frame.traceparent):
                delivery.event = event = delivery.event or await self._infer_one(delivery)
                if event is None:
                    continue
                if event.skipped is not None:
                    FRAMES_SKIPPED.labels(self._pool).inc()
                    await dead_letter(self._bus, Owner.DETECTOR, delivery.msg, event.skipped, run=event.run)
                FRAMES_SEEN.labels(self._pool).inc()
                if event.policy is Policy.LATEST:
                    FRAME_AGE.labels(self._pool).set((time.time_ns() - event.captured_at) / 1e9)

    async def _infer_batch(self, deliveries: Sequence[Delivery]) -> None:
        detector = self._detector
        if len(deliveries) < 2 or not isinstance(detector, BatchDetector):
            return
        items = [delivery.item for delivery in deliveries]
        try:
            events = await self._timed(lambda: analyze_batch(items, detector), len(items))
        except Exception:  # a backend may raise anything; analysing one by one isolates the frame that breaks it
            log.exception("a batch broke the detector; its frames are looked at one by one", frames=len(items))
            return
        for delivery, event in zip(deliveries, events, strict=True):
            delivery.event = event

    async def _infer_one(self, delivery: Delivery) -> Detections | None:
        """A frame's event; None after a nak, for another try."""
        msg, item, frame = delivery.msg, delivery.item, delivery.item.frame
        attempt = await self._attempts.begin(msg, frame)
        if attempt > MOST_ATTEMPTS:
            reason = f"given up after {MOST_ATTEMPTS} deliveries without an answer"
            return Detections.of(frame, model=self._detector.model, skipped=reason)
        if self._views is not None:
            await self._views.recall(frame)
        try:
            event = await self._timed(lambda: analyze(frame, item.jpeg, self._detector, item.spec), 1)
        except Exception as error:  # a backend may raise anything; the frame is tried again, then dead-lettered
            log.exception("a frame broke the detector", seq=frame.seq)
            if attempt >= MOST_ATTEMPTS:
                reason = f"the detector failed {MOST_ATTEMPTS} times: {error!r}"
                return Detections.of(frame, model=self._detector.model, skipped=reason)
            await msg.nak(delay=RETRY_DELAY)
            return None
        await self._attempts.succeeded(msg, frame)
        if self._views is not None:
            await self._views.keep(frame)
        return event

    async def _timed(self, work: Callable[[], T], frames: int) -> T:
        """Do some work in the detector's thread, and measure its time, divided equally among the frames."""
        began = time.perf_counter()
        result = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        for _ in range(frames):
            DETECT_SECONDS.labels(self._pool).observe((time.perf_counter() - began) / frames)
        return result

    async def _answer(self, deliveries: Sequence[Delivery]) -> None:
        """Send all events at once, in order; each frame is acked by itself, once its event is stored."""
        await asyncio.gather(
            *(self._answer_one(delivery, delivery.event) for delivery in deliveries if delivery.event is not None)
        )

    async def _answer_one(self, delivery: Delivery, event: Detections) -> None:
        await self._bus.publish(
            detections(event.run, event.store, event.camera), event.encode(), msg_id=f"{event.run}/{event.id}"
        )
        try:
            await delivery.msg.ack()
        except NatsError as error:
            log.debug("an acknowledgement was lost; the frame comes again", error=repr(error))
