"""The work of one pool on one replica: frames from the shared consumers in, detections out.

A frame is acked after its detections are stored. A frame that cannot be analysed gives a skipped event and a dead
letter, so that a tracker never waits for a frame that will not come.

Where the detector supports batches, all frames that have arrived, of any cameras, are analysed together. There is no
wait for a batch to fill: it grows by itself where frames arrive faster than they are analysed.

Frames of runs beside the live one go to the same detector while no live frames wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from prometheus_client import Counter, Gauge, Histogram

from contracts.events import Detections
from contracts.frames import FrameHeader, MalformedFrame
from contracts.identity import LIVE, Policy
from contracts.runs import Run
from contracts.streams import FRAMES, KEPT, Stream, run_streams
from contracts.subjects import Kind, detections, parse, pool_filter
from services.detector.attempts import Attempts
from services.detector.backends.protocol import BatchDetector, Detector, LearningDetector
from services.detector.inference import FrameInput, analyze, analyze_batch
from services.detector.pools import asks_for
from services.detector.priority import LivePriority
from services.detector.views import Views
from services.kit.logs import bound_contextvars, logger
from services.kit.nats.bus import Bus
from services.kit.nats.camera_specs import Specs
from services.kit.nats.consumer import Reader
from services.kit.nats.dead_letters import dead_letter
from services.kit.nats.runs import Runs
from services.kit.nats.subscribers import jetstream_subscriber

SERVICE = "detector"
ACK_WAIT = 5.0
"""Seconds without an in-progress ack after which a replica's frames are redelivered to another."""
WORK_LIMIT = 12.0
"""Seconds after which a frame is redelivered although its replica is alive: the work hangs. Three such waits are
shorter than the tracker's patience."""
MOST_ATTEMPTS = 3
"""Attempts without an answer after which a frame is given up."""
RETRY_DELAY = 0.5
LEAVE_TIMEOUT = 2.0
"""Seconds that the last answer may take at an orderly end."""
AHEAD = 2
"""Frames (or batches) that are prefetched: enough to keep the model busy, and few enough that live frames are fresh and
a crash delays few."""
PATIENCE = 2.0
"""Seconds that a frame waits for its camera's spec, which is stored before any frame names it."""

FRAMES_SEEN = Counter("metrica_detector_frames_total", "Frames looked at", ["pool"])
FRAMES_SKIPPED = Counter("metrica_detector_skipped_total", "Frames that could not be looked at", ["pool"])
DETECT_SECONDS = Histogram("metrica_detector_seconds", "Decoding and inference of one frame", ["pool"])
FRAME_AGE = Gauge(
    "metrica_detector_frame_age_seconds", "Age of the last live frame when it had been looked at", ["pool"]
)

Answer = tuple[Msg, Detections]
T = TypeVar("T")

log = logger()


class PoolWorker:
    """Analyses the frames of one pool with one detector."""

    def __init__(self, bus: Bus, pool: str, detector: Detector, thread: ThreadPoolExecutor, runs: Runs) -> None:
        self._bus, self._pool, self._detector, self._thread, self._runs = bus, pool, detector, thread, runs
        self._specs = {LIVE: Specs(bus, PATIENCE)}
        self._priority = LivePriority()
        self._attempts = Attempts(bus)
        self._views: Views | None = None
        self._batch = detector.batch if isinstance(detector, BatchDetector) else 1

    async def run(self) -> None:
        """Work on both of the pool's live streams, and on the streams of runs, until cancelled."""
        if isinstance(self._detector, LearningDetector):  # anew: another replica may have saved newer backgrounds
            self._views = Views(self._bus, self._detector, self._thread)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_live(FRAMES, Kind.FRAMES))
            group.create_task(self._read_live(KEPT, Kind.KEPT))
            group.create_task(self._runs.each(self._read_run, matching=lambda run: asks_for(run, self._pool)))

    async def _read_live(self, stream: Stream, kind: Kind) -> None:
        frames = jetstream_subscriber(self._bus.broker, stream)

        @frames
        async def detect(messages: list[Msg]) -> list[Answer]:
            with self._priority.live():
                return await self._detect(messages, LIVE)

        async def detect_next(reader: Reader) -> list[Answer]:
            return cast("list[Answer]", await frames.deliver(await reader.batch(self._batch)))

        async with frames, self._reader(stream, pool_filter(LIVE, kind, self._pool), AHEAD) as reader:
            self._priority.add_live(reader)
            await self._work(lambda: detect_next(reader))

    async def _read_run(self, run: Run) -> None:
        stream = run_streams(run.name).kept
        frames = jetstream_subscriber(self._bus.broker, stream)

        @frames
        async def detect(messages: list[Msg]) -> list[Answer]:
            return await self._detect(messages, run.name)

        async def detect_next(reader: Reader) -> list[Answer]:
            await self._priority.wait_until_idle()
            return cast("list[Answer]", await frames.deliver(await reader.batch(self._batch)))

        self._specs[run.name] = Specs(self._bus, PATIENCE, run=run.name)
        try:
            async with frames, self._reader(stream, pool_filter(run.name, Kind.KEPT, self._pool), 1) as reader:
                await self._work(lambda: detect_next(reader))
        finally:
            del self._specs[run.name]

    def _reader(self, stream: Stream, subjects: str, ahead: int) -> Reader:
        config = ConsumerConfig(
            durable_name=f"detector-{self._pool}",
            filter_subject=subjects,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT,
            max_ack_pending=1024,
        )
        return Reader(self._bus, stream.name, config, ahead=ahead * self._batch, work_limit=WORK_LIMIT)

    async def _work(self, detect_next: Callable[[], Awaitable[list[Answer]]]) -> None:
        publishing: asyncio.Task[None] | None = None
        try:
            while True:
                answers = await detect_next()
                if publishing is not None:
                    await publishing
                # Published while the next frames are analysed, but never two at a time, which keeps their order.
                publishing = asyncio.create_task(self._answer(answers))
        finally:
            if publishing is not None:
                await asyncio.wait([publishing], timeout=LEAVE_TIMEOUT)
                publishing.cancel()  # nothing is lost: the frames are redelivered

    async def _detect(self, msgs: Sequence[Msg], run: str) -> list[Answer]:
        """The events of messages, in their order; without dead-lettered frames, and frames to be tried again."""
        opened = [(msg, item) for msg in msgs if (item := await self._open(msg, run)) is not None]
        batch = await self._detect_batch(opened)
        answers: list[Answer] = []
        for number, (msg, item) in enumerate(opened):
            with bound_contextvars(camera=item.frame.camera, trace=item.frame.traceparent):
                event = batch.get(number) or await self._detect_one(msg, item)
                if event is not None:
                    await self._record(msg, event)
                    answers.append((msg, event))
        return answers

    async def _open(self, msg: Msg, run: str) -> FrameInput | None:
        """The frame in a message; None where it has none, and is dead-lettered."""
        try:
            header = FrameHeader.from_headers(msg.headers)
            _verify(header, msg.subject)
        except ValueError as error:
            await dead_letter(self._bus, SERVICE, msg, str(error), run=run)
            await msg.ack()
            return None
        return FrameInput(header, msg.data, await self._specs[run].get(header.camera, header.spec_revision))

    async def _detect_batch(self, opened: Sequence[tuple[Msg, FrameInput]]) -> dict[int, Detections]:
        """Events of the frames that can be analysed together, by their index."""
        # A redelivered frame may have broken the detector, or its process: it is analysed alone.
        fresh = {number: item for number, (msg, item) in enumerate(opened) if msg.metadata.num_delivered == 1}
        detector = self._detector
        if len(fresh) < 2 or not isinstance(detector, BatchDetector):
            return {}
        try:
            events = await self._timed(lambda: analyze_batch(list(fresh.values()), detector), len(fresh))
        except Exception:  # a backend may raise anything; analysing one by one isolates the frame that breaks it
            log.exception("a batch broke the detector; its frames are looked at one by one", frames=len(fresh))
            return {}
        return dict(zip(fresh, events, strict=True))

    async def _detect_one(self, msg: Msg, item: FrameInput) -> Detections | None:
        """A frame's event; None after a nak, for another try."""
        attempt = await self._attempts.begin(msg, item.frame)
        if attempt > MOST_ATTEMPTS:
            return self._skip(item, f"given up after {MOST_ATTEMPTS} deliveries without an answer")
        if self._views is not None:
            await self._views.recall(item.frame)
        try:
            event = await self._timed(lambda: analyze(item.frame, item.jpeg, self._detector, item.spec), 1)
        except Exception as error:  # a backend may raise anything; the frame is tried again, then dead-lettered
            log.exception("a frame broke the detector", seq=item.frame.seq)
            if attempt >= MOST_ATTEMPTS:
                return self._skip(item, f"the detector failed {MOST_ATTEMPTS} times: {error!r}")
            await msg.nak(delay=RETRY_DELAY)
            return None
        await self._attempts.succeeded(msg, item.frame)
        if self._views is not None:
            await self._views.keep(item.frame)
        return event

    async def _timed(self, work: Callable[[], T], frames: int) -> T:
        """Do some work in the detector's thread, and measure its time, divided equally among the frames."""
        began = time.perf_counter()
        result = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        for _ in range(frames):
            DETECT_SECONDS.labels(self._pool).observe((time.perf_counter() - began) / frames)
        return result

    async def _record(self, msg: Msg, event: Detections) -> None:
        if event.skipped is not None:
            FRAMES_SKIPPED.labels(self._pool).inc()
            await dead_letter(self._bus, SERVICE, msg, event.skipped, run=event.run)
        FRAMES_SEEN.labels(self._pool).inc()
        if event.policy is Policy.LATEST:
            FRAME_AGE.labels(self._pool).set((time.time_ns() - event.captured_at) / 1e9)

    def _skip(self, item: FrameInput, reason: str) -> Detections:
        return Detections.of(item.frame, model=self._detector.model, skipped=reason)

    async def _answer(self, answers: Sequence[Answer]) -> None:
        # All are sent at once, in order; each is acked by itself, once it is stored.
        await asyncio.gather(*(self._answer_one(msg, event) for msg, event in answers))

    async def _answer_one(self, msg: Msg, event: Detections) -> None:
        await self._bus.publish(
            detections(event.run, event.store, event.camera), event.encode(), msg_id=f"{event.run}/{event.id}"
        )
        try:
            await msg.ack()
        except NatsError as error:
            log.debug("an acknowledgement was lost; the frame comes again", error=repr(error))


def _verify(header: FrameHeader, subject: str) -> None:
    parsed = parse(subject)
    if (parsed.run, parsed.store, parsed.camera) != (header.run, header.store, header.camera):
        raise MalformedFrame(f"the headers name {header.store}/{header.camera}, the subject {subject}")
