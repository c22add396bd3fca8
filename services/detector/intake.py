"""The intake of one detector: the frames of its pool from their consumers, live frames before those of replays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contracts.events import Detections
from contracts.frames import FrameHeader, MalformedFrame
from contracts.identity import LIVE
from contracts.streams import Owner, Stream
from contracts.subjects import Kind, parse, pool_filter
from services.detector.inference import FrameInput
from services.kit.nats.bus import Bus
from services.kit.nats.camera_specs import Specs
from services.kit.nats.consumers.durable_consumer import DurableConsumer
from services.kit.nats.dead_letters import dead_letter
from services.kit.nats.subscribers import jetstream_subscriber

ACK_WAIT = 5.0
"""Seconds without an in-progress ack after which a replica's frames are redelivered to another."""
WORK_LIMIT = 12.0
"""Seconds after which a frame is redelivered although its replica is alive: the work hangs. Three such waits are
shorter than the tracker's patience."""
AHEAD = 2
"""Live frames (or batches) that are prefetched: enough to keep the model busy, and few enough that they are fresh and a
crash delays few. A replay's are prefetched once."""
PATIENCE = 2.0
"""Seconds that a frame waits for its camera's spec, which is stored before any frame names it."""


@dataclass(slots=True)
class Delivery:
    """A frame on its way through the detector.

    Attributes:
        msg: is acked once the event is stored.
        item: the frame to analyse.
        event: the answer; None before it is analysed, and where it is to be tried again.
    """

    msg: Msg
    item: FrameInput
    event: Detections | None = None

    @property
    def is_first(self) -> bool:
        """True where no replica has got the frame before."""
        return self.msg.metadata.num_delivered == 1


class Intake:
    """Takes a pool's frames; `batch` of them at most at once."""

    def __init__(self, bus: Bus, pool: str, batch: int) -> None:
        self._bus, self._pool, self._batch = bus, pool, batch
        self._live: list[DurableConsumer] = []
        self._working = 0
        self._done = asyncio.Event()

    async def take(self, run: str, stream: Stream, kind: Kind) -> AsyncGenerator[list[Delivery], None]:
        """Yield the frames that have arrived in a stream, for ever.

        A replay's are asked for only while no live frame waits or is worked on; so it holds none meanwhile.
        """
        live = run == LIVE
        specs = Specs(self._bus, PATIENCE, run=run)
        config = ConsumerConfig(
            durable_name=f"detector-{self._pool}",
            filter_subject=pool_filter(run, kind, self._pool),
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT,
            max_ack_pending=1024,
        )
        ahead = self._batch * (AHEAD if live else 1)
        frames = jetstream_subscriber(self._bus.broker, stream)

        @frames
        async def open_all(messages: list[Msg]) -> list[Delivery | None]:
            return [await self._open(msg, run, specs) for msg in messages]

        async with (
            frames,
            DurableConsumer(self._bus, stream.name, config, ahead=ahead, work_limit=WORK_LIMIT) as consumer,
        ):
            if live:
                self._live.append(consumer)
            while True:
                if not live:
                    await self._until_no_live_frame_waits()
                msgs = await consumer.batch(self._batch)
                self._working += live
                try:
                    yield [delivery for delivery in await frames.deliver(msgs) if delivery is not None]
                finally:
                    self._working -= live
                    self._done.set()

    async def _until_no_live_frame_waits(self) -> None:
        while self._working or not all(reader.idle for reader in self._live):
            self._done.clear()
            await self._done.wait()

    async def _open(self, msg: Msg, run: str, specs: Specs) -> Delivery | None:
        """The frame in a message; None where it has none, and is dead-lettered."""
        try:
            header = FrameHeader.from_headers(msg.headers)
            _verify(header, msg.subject)
        except ValueError as error:
            await dead_letter(self._bus, Owner.DETECTOR, msg, str(error), run=run)
            await msg.ack()
            return None
        return Delivery(msg, FrameInput(header, msg.data, await specs.get(header.camera, header.spec_revision)))


def _verify(header: FrameHeader, subject: str) -> None:
    parsed = parse(subject)
    if (parsed.run, parsed.store, parsed.camera) != (header.run, header.store, header.camera):
        raise MalformedFrame(f"the headers name {header.store}/{header.camera}, the subject {subject}")
