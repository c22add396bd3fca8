"""One pool's work on one replica: frames from the shared consumers, detections out, in that order acknowledged.

A frame is acknowledged after its detections are stored. What cannot be looked at becomes a skipped event and a dead
letter, so that a tracker never waits for a frame that will not come.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from prometheus_client import Counter, Gauge, Histogram

from contracts.events import Detections
from contracts.frames import FrameHeader, MalformedFrame
from contracts.identity import LIVE, Policy
from contracts.streams import FRAMES, KEPT, Stream
from contracts.subjects import Kind, detections, parse, pool_filter
from services.detector.analyze import analyze
from services.detector.protocol import Detector
from services.kit.bus import Bus
from services.kit.dead_letters import bury
from services.kit.logs import bound_contextvars, logger
from services.kit.reader import Reader

SERVICE = "detector"
ACK_WAIT = 5.0
"""A frame that was given to a replica and not answered within this time, in seconds, goes to another."""
MOST_DELIVERIES = 3
RETRY_DELAY = 0.5
LEAVE_TIMEOUT = 2.0
"""Seconds that the last answer may take at an orderly end."""
AHEAD = 2
"""Frames pulled ahead: enough to keep the model busy, few enough that live frames are fresh, that a crash delays few,
and that even at two seconds a frame none is taken for unanswered."""

FRAMES_SEEN = Counter("metrica_detector_frames_total", "Frames looked at", ["pool"])
FRAMES_SKIPPED = Counter("metrica_detector_skipped_total", "Frames that could not be looked at", ["pool"])
DETECT_SECONDS = Histogram("metrica_detector_seconds", "Decoding and inference of one frame", ["pool"])
FRAME_AGE = Gauge(
    "metrica_detector_frame_age_seconds", "Age of the last live frame when it had been looked at", ["pool"]
)

log = logger()


class PoolWorker:
    """Looks at the frames of one pool with one detector."""

    def __init__(self, bus: Bus, pool: str, detector: Detector, thread: ThreadPoolExecutor) -> None:
        self._bus, self._pool, self._detector, self._thread = bus, pool, detector, thread

    async def run(self) -> None:
        """Work on both of the pool's streams until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(FRAMES, Kind.FRAMES))
            group.create_task(self._read(KEPT, Kind.KEPT))

    async def _read(self, stream: Stream, kind: Kind) -> None:
        config = ConsumerConfig(
            durable_name=f"detector-{self._pool}",
            filter_subject=pool_filter(LIVE, kind, self._pool),
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT,
            max_ack_pending=1024,
        )
        publishing: asyncio.Task[None] | None = None
        async with Reader(self._bus, stream.name, config, ahead=AHEAD) as reader:
            try:
                async for msg in reader:
                    event = await self._look(msg)
                    if publishing is not None:
                        await publishing
                    if event is not None:
                        # Stored while the next frame is being looked at; one behind, so that order is kept.
                        publishing = asyncio.create_task(self._answer(msg, event))
            finally:
                if publishing is not None:
                    await asyncio.wait([publishing], timeout=LEAVE_TIMEOUT)
                    publishing.cancel()  # nothing is lost: the frame comes again

    async def _look(self, msg: Msg) -> Detections | None:
        try:
            header = FrameHeader.from_headers(msg.headers)
            _verify(header, msg.subject)
        except ValueError as error:
            await bury(self._bus, SERVICE, msg, str(error))
            await msg.ack()
            return None
        with bound_contextvars(camera=header.camera, trace=header.traceparent):
            if msg.metadata.num_delivered > MOST_DELIVERIES:
                return await self._give_up(
                    msg, header, f"given up after {MOST_DELIVERIES} deliveries without an answer"
                )
            try:
                with DETECT_SECONDS.labels(self._pool).time():
                    event = await asyncio.get_running_loop().run_in_executor(
                        self._thread, analyze, header, msg.data, self._detector
                    )
            except Exception as error:  # a backend may raise anything; the frame is tried again, then buried
                log.exception("a frame broke the detector", seq=header.seq)
                if msg.metadata.num_delivered >= MOST_DELIVERIES:
                    return await self._give_up(msg, header, f"the detector failed {MOST_DELIVERIES} times: {error!r}")
                await msg.nak(delay=RETRY_DELAY)
                return None
        if event.skipped is not None:
            await self._lament(msg, event.skipped)
        FRAMES_SEEN.labels(self._pool).inc()
        if header.policy is Policy.LATEST:
            FRAME_AGE.labels(self._pool).set((time.time_ns() - header.captured_at) / 1e9)
        return event

    async def _give_up(self, msg: Msg, header: FrameHeader, reason: str) -> Detections:
        await self._lament(msg, reason)
        return Detections.of(header, model=self._detector.model, skipped=reason)

    async def _lament(self, msg: Msg, reason: str) -> None:
        FRAMES_SKIPPED.labels(self._pool).inc()
        await bury(self._bus, SERVICE, msg, reason)

    async def _answer(self, msg: Msg, event: Detections) -> None:
        await self._bus.publish(
            detections(event.run, event.store, event.camera), event.encode(), msg_id=f"{event.run}/{event.id}"
        )
        try:
            await msg.ack()
        except NatsError as error:
            log.debug("an acknowledgement was lost; the frame comes again", error=repr(error))


def _verify(header: FrameHeader, subject: str) -> None:
    named = parse(subject)
    if (named.run, named.store, named.camera) != (header.run, header.store, header.camera):
        raise MalformedFrame(f"the headers name {header.store}/{header.camera}, the subject {subject}")
