"""The rules of publishing frames: none of a file's is lost or overtaken, of a camera's the newest counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.errors import OutboundBufferLimitError
from nats.js.api import AckPolicy, ConsumerConfig

from contracts.frames import FrameHeader
from contracts.identity import LIVE, Policy
from contracts.spec import CameraSpec
from contracts.streams import KEPT, PREVIEW, Owner
from infra.local.processes.nats import NatsServer
from services.ingest.publishing import Publisher
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.durable_consumer import DurableConsumer
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, eventually, stored

SPEC = CameraSpec(store="shop", camera="door", model="motion")


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The owner of the frames."""
    async with connected(settings, Owner.INGEST) as bus:
        yield bus


def header(seq: int, policy: Policy = Policy.EVERY) -> FrameHeader:
    return FrameHeader(
        run=LIVE,
        store="shop",
        camera="door",
        session="s",
        seq=seq,
        captured_at=seq,
        width=64,
        height=48,
        spec_revision=1,
        policy=policy,
    )


class TestKeep:
    async def test_a_full_stream_holds_the_camera_up_and_keeps_the_order(self, bus: Bus) -> None:
        publisher = Publisher(bus, "door")

        async def publish() -> None:
            for seq in range(80):
                await publisher.keep(header(seq), b"%d" % seq, SPEC)

        publishing = asyncio.create_task(publish())
        await eventually(lambda: truth(publisher.frames == 64))
        await asyncio.wait([publishing], timeout=0.1)
        assert publisher.frames == 64

        taken: list[bytes] = []
        config = ConsumerConfig(durable_name="detector", ack_policy=AckPolicy.EXPLICIT)
        async with DurableConsumer(bus, KEPT.name, config) as consumer:
            while len(taken) < 80:
                msg = await asyncio.wait_for(consumer.next(), 10)
                taken.append(msg.data)
                await msg.ack()
        await publishing
        assert taken == [b"%d" % seq for seq in range(80)]

    async def test_a_frame_that_is_published_again_after_a_restart_is_there_once(self, bus: Bus) -> None:
        for _ in range(2):
            await Publisher(bus, "door").keep(header(7), b"frame", SPEC)

        assert await stored(bus, KEPT.name) == [b"frame"]


class TestOffer:
    async def test_a_frame_that_was_stored_counts(self, bus: Bus) -> None:
        publisher = Publisher(bus, "door")

        assert await publisher.offer(header(0, Policy.LATEST), b"frame", SPEC)
        assert (publisher.frames, publisher.dropped) == (1, 0)
        assert await stored(bus, "FRAMES") == [b"frame"]

    async def test_the_newest_frames_push_the_oldest_out(self, bus: Bus) -> None:
        publisher = Publisher(bus, "door")
        for seq in range(5):
            assert await publisher.offer(header(seq, Policy.LATEST), b"%d" % seq, SPEC)

        assert await stored(bus, "FRAMES") == [b"2", b"3", b"4"]

    async def test_while_the_broker_is_away_frames_are_dropped_without_waiting(
        self, bus: Bus, nats_server: NatsServer
    ) -> None:
        publisher = Publisher(bus, "door")
        nats_server.kill()
        await eventually(lambda: truth(not bus.connected))

        async with asyncio.timeout(0.5):
            assert not await publisher.offer(header(0, Policy.LATEST), b"frame", SPEC)
        assert (publisher.frames, publisher.dropped) == (0, 1)

        nats_server.start()
        await eventually(lambda: publisher.offer(header(1, Policy.LATEST), b"frame", SPEC))

    async def test_a_stream_that_is_gone_is_made_again(self, bus: Bus) -> None:
        publisher = Publisher(bus, "door")
        await bus.js.delete_stream("FRAMES")

        assert not await publisher.offer(header(0, Policy.LATEST), b"frame", SPEC)
        assert await publisher.offer(header(1, Policy.LATEST), b"frame", SPEC)


class TestPreview:
    async def test_the_first_frame_is_shown_and_then_no_more_than_asked_for(self, bus: Bus) -> None:
        publisher = Publisher(bus, "door")
        for seq in range(10):
            await publisher.keep(header(seq), b"%d" % seq, SPEC.model_copy(update={"preview_fps": 0.1}))

        await bus.client.flush()
        assert await stored(bus, PREVIEW.name) == [b"0"]

    async def test_none_is_shown_where_none_is_wanted(self, bus: Bus) -> None:
        await Publisher(bus, "door").keep(header(0), b"frame", SPEC.model_copy(update={"preview_fps": 0}))

        await bus.client.flush()
        assert await stored(bus, PREVIEW.name) == []

    async def test_its_headers_are_the_frames(self, bus: Bus) -> None:
        await Publisher(bus, "door").keep(header(7), b"frame", SPEC)

        await bus.client.flush()
        shown = await bus.js.get_last_msg(PREVIEW.name, "metrica.live.preview.shop.door")
        assert FrameHeader.from_headers(shown.headers).seq == 7

    async def test_one_that_cannot_be_sent_costs_no_frame(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        publish = bus.client.publish

        async def fail(subject: str, *args: object, **kwargs: object) -> None:
            if ".preview." in subject:
                raise OutboundBufferLimitError
            await publish(subject, *args, **kwargs)  # type: ignore[arg-type]  # as it came

        monkeypatch.setattr(bus.client, "publish", fail)
        await Publisher(bus, "door").keep(header(0), b"frame", SPEC)
        assert await Publisher(bus, "door").offer(header(0, Policy.LATEST), b"frame", SPEC)


async def truth(value: bool) -> bool:
    return value
