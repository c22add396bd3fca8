"""One pool's work on one replica: frames from the shared consumers, detections out, in that order acknowledged.

A frame is acknowledged after its detections are stored. What cannot be looked at becomes a skipped event and a dead
letter, so that a tracker never waits for a frame that will not come.

Where the detector says that batches pay, the frames that have come by then, of whichever cameras, are looked at
together. Nobody waits for a batch to fill: it grows by itself where frames come faster than they are looked at.

Frames of runs beside the live one come to the same detector, when no live ones wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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
from services.detector.inference import Look, analyze, analyze_batch
from services.detector.pools import asks_for
from services.detector.priority import Turns
from services.detector.views import Views
from services.kit.logs import bound_contextvars, logger
from services.kit.nats.bus import Bus
from services.kit.nats.camera_specs import Specs
from services.kit.nats.consumer import Reader
from services.kit.nats.dead_letters import dead_letter
from services.kit.nats.runs import Runs

SERVICE = "detector"
ACK_WAIT = 5.0
"""A replica of which nothing was heard for this time, in seconds, has lost its frames to another."""
WORK_LIMIT = 12.0
"""Seconds after which a frame goes to another although its replica lives: it hangs. Three such waits are shorter than
the tracker's."""
MOST_ATTEMPTS = 3
"""A frame that was looked at so often without an answer is given up."""
RETRY_DELAY = 0.5
LEAVE_TIMEOUT = 2.0
"""Seconds that the last answer may take at an orderly end."""
AHEAD = 2
"""Frames (or batches) pulled ahead: enough to keep the model busy, few enough that live frames are fresh, that a crash
delays few."""
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
    """Looks at the frames of one pool with one detector."""

    def __init__(self, bus: Bus, pool: str, detector: Detector, thread: ThreadPoolExecutor, runs: Runs) -> None:
        self._bus, self._pool, self._detector, self._thread, self._runs = bus, pool, detector, thread, runs
        self._specs = {LIVE: Specs(bus, PATIENCE)}
        self._turns = Turns()
        self._attempts = Attempts(bus)
        self._views: Views | None = None
        self._batch = detector.batch if isinstance(detector, BatchDetector) else 1

    async def run(self) -> None:
        """Work on both of the pool's streams, and on those of runs, until cancelled."""
        if isinstance(self._detector, LearningDetector):  # each time: another replica may have seen more meanwhile
            self._views = Views(self._bus, self._detector, self._thread)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_live(FRAMES, Kind.FRAMES))
            group.create_task(self._read_live(KEPT, Kind.KEPT))
            group.create_task(self._runs.each(self._read_run, matching=lambda run: asks_for(run, self._pool)))

    async def _read_live(self, stream: Stream, kind: Kind) -> None:
        async def look(reader: Reader) -> list[Answer]:
            msgs = await reader.batch(self._batch)
            with self._turns.live():
                return await self._look(msgs, LIVE)

        async with self._reader(stream, pool_filter(LIVE, kind, self._pool), AHEAD) as reader:
            self._turns.add_live(reader)
            await self._keep_looking(lambda: look(reader))

    async def _read_run(self, run: Run) -> None:
        async def look(reader: Reader) -> list[Answer]:
            await self._turns.quiet()
            return await self._look(await reader.batch(self._batch), run.name)

        self._specs[run.name] = Specs(self._bus, PATIENCE, run=run.name)
        try:
            async with self._reader(
                run_streams(run.name).kept, pool_filter(run.name, Kind.KEPT, self._pool), 1
            ) as reader:
                await self._keep_looking(lambda: look(reader))
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

    async def _keep_looking(self, look: Callable[[], Awaitable[list[Answer]]]) -> None:
        publishing: asyncio.Task[None] | None = None
        try:
            while True:
                answers = await look()
                if publishing is not None:
                    await publishing
                # Stored while the next frames are being looked at; one behind, so that order is kept.
                publishing = asyncio.create_task(self._answer(answers))
        finally:
            if publishing is not None:
                await asyncio.wait([publishing], timeout=LEAVE_TIMEOUT)
                publishing.cancel()  # nothing is lost: the frames come again

    async def _look(self, msgs: Sequence[Msg], run: str) -> list[Answer]:
        """What is to be answered to some messages, in their order; those that come again get no answer yet."""
        opened = [(msg, look) for msg in msgs if (look := await self._open(msg, run)) is not None]
        together = await self._look_together(opened)
        answers: list[Answer] = []
        for number, (msg, look) in enumerate(opened):
            with bound_contextvars(camera=look.frame.camera, trace=look.frame.traceparent):
                event = together.get(number) or await self._look_at_one(msg, look)
                if event is not None:
                    await self._note(msg, event)
                    answers.append((msg, event))
        return answers

    async def _open(self, msg: Msg, run: str) -> Look | None:
        """The frame in a message; one that has none is buried."""
        try:
            header = FrameHeader.from_headers(msg.headers)
            _verify(header, msg.subject)
        except ValueError as error:
            await dead_letter(self._bus, SERVICE, msg, str(error), run=run)
            await msg.ack()
            return None
        return Look(header, msg.data, await self._specs[run].get(header.camera, header.spec_revision))

    async def _look_together(self, opened: Sequence[tuple[Msg, Look]]) -> dict[int, Detections]:
        """The events, by their place, of the frames that can be looked at together."""
        # One that comes again may be what broke the detector, or its process: it is looked at alone.
        fresh = {number: look for number, (msg, look) in enumerate(opened) if msg.metadata.num_delivered == 1}
        detector = self._detector
        if len(fresh) < 2 or not isinstance(detector, BatchDetector):
            return {}
        try:
            events = await self._timed(lambda: analyze_batch(list(fresh.values()), detector), len(fresh))
        except Exception:  # a backend may raise anything; one by one, the frame that breaks it is found
            log.exception("a batch broke the detector; its frames are looked at one by one", frames=len(fresh))
            return {}
        return dict(zip(fresh, events, strict=True))

    async def _look_at_one(self, msg: Msg, look: Look) -> Detections | None:
        """A frame's event; None where it is to be tried again."""
        attempt = await self._attempts.begin(msg, look.frame)
        if attempt > MOST_ATTEMPTS:
            return self._skip(look, f"given up after {MOST_ATTEMPTS} deliveries without an answer")
        if self._views is not None:
            await self._views.recall(look.frame)
        try:
            event = await self._timed(lambda: analyze(look.frame, look.jpeg, self._detector, look.spec), 1)
        except Exception as error:  # a backend may raise anything; the frame is tried again, then buried
            log.exception("a frame broke the detector", seq=look.frame.seq)
            if attempt >= MOST_ATTEMPTS:
                return self._skip(look, f"the detector failed {MOST_ATTEMPTS} times: {error!r}")
            await msg.nak(delay=RETRY_DELAY)
            return None
        await self._attempts.survived(msg, look.frame)
        if self._views is not None:
            await self._views.keep(look.frame)
        return event

    async def _timed(self, work: Callable[[], T], frames: int) -> T:
        """Do some work in the detector's thread; its time is shared by the frames."""
        began = time.perf_counter()
        done = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        for _ in range(frames):
            DETECT_SECONDS.labels(self._pool).observe((time.perf_counter() - began) / frames)
        return done

    async def _note(self, msg: Msg, event: Detections) -> None:
        if event.skipped is not None:
            FRAMES_SKIPPED.labels(self._pool).inc()
            await dead_letter(self._bus, SERVICE, msg, event.skipped, run=event.run)
        FRAMES_SEEN.labels(self._pool).inc()
        if event.policy is Policy.LATEST:
            FRAME_AGE.labels(self._pool).set((time.time_ns() - event.captured_at) / 1e9)

    def _skip(self, look: Look, reason: str) -> Detections:
        return Detections.of(look.frame, model=self._detector.model, skipped=reason)

    async def _answer(self, answers: Sequence[Answer]) -> None:
        # All are sent at once, in order; each is acknowledged by itself, when it is stored.
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
    named = parse(subject)
    if (named.run, named.store, named.camera) != (header.run, header.store, header.camera):
        raise MalformedFrame(f"the headers name {header.store}/{header.camera}, the subject {subject}")
