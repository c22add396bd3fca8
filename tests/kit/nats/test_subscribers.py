"""Batches that our consumer pulls go through FastStream's pipeline; guards what this relies on in FastStream."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import pytest
from faststream import Context
from faststream.nats import NatsBroker, TestNatsBroker
from faststream.nats.prometheus import NatsPrometheusMiddleware
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from prometheus_client import CollectorRegistry

from contracts.streams import CROSSINGS, run_streams
from contracts.subjects import crossings
from services.kit.nats.bus import Bus
from services.kit.nats.durable_consumer import DurableConsumer
from services.kit.nats.subscribers import JetStreamSubscriber, Messages, jetstream_subscriber, subscribed
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, eventually

SUBJECT = crossings("live", "shop", "door")


def message(data: bytes = b"{}") -> Msg:
    return Msg(_client=None, subject=SUBJECT, data=data)  # type: ignore[arg-type]  # nothing is sent by it


def of_crossings(broker: NatsBroker) -> JetStreamSubscriber:
    return jetstream_subscriber(broker, CROSSINGS)


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    async with connected(settings, everything=True) as bus:
        yield bus


class TestPipeline:
    async def test_the_handler_gets_the_messages_of_a_batch_as_they_are(self) -> None:
        broker = NatsBroker(logger=None)
        subscriber = of_crossings(broker)
        batches: list[list[bytes]] = []

        @subscriber
        async def store(messages: Messages) -> None:
            batches.append([each.data for each in messages])

        async with TestNatsBroker(broker):
            await subscriber.deliver([message(b"\xff\xd8 a picture"), message(b"not JSON"), message(b"")])

        assert batches == [[b"\xff\xd8 a picture", b"not JSON", b""]]

    async def test_an_error_of_the_handler_reaches_whoever_delivers(self) -> None:
        broker = NatsBroker(logger=None)
        subscriber = of_crossings(broker)

        @subscriber
        async def store(messages: Messages) -> None:
            raise LookupError(len(messages))

        async with TestNatsBroker(broker):
            with pytest.raises(LookupError):
                await subscriber.deliver([message()])

    async def test_dependencies_are_injected(self) -> None:
        broker = NatsBroker(logger=None)
        subscriber = of_crossings(broker)
        seen: list[object] = []

        @subscriber
        async def store(messages: Messages, writer: Annotated[str, Context()]) -> None:
            seen.append((writer, len(messages)))

        broker.context.set_global("writer", "the writer")
        async with TestNatsBroker(broker):
            await subscriber.deliver([message()])

        assert seen == [("the writer", 1)]

    async def test_a_test_broker_calls_it_without_a_server(self) -> None:
        broker = NatsBroker(logger=None)
        subscriber = of_crossings(broker)
        bodies: list[bytes] = []

        @subscriber
        async def store(messages: Messages) -> None:
            bodies.extend(each.data for each in messages)

        async with TestNatsBroker(broker) as tested:
            await tested.publish(b"one", SUBJECT)
            await tested.publish(b"elsewhere", "metrica.live.paths.shop.door")

        assert bodies == [b"one"]

    async def test_metrics_of_faststream_count_batches_messages_and_errors(self) -> None:
        registry = CollectorRegistry()
        broker = NatsBroker(logger=None, middlewares=[NatsPrometheusMiddleware(registry=registry)])
        subscriber = of_crossings(broker)

        @subscriber
        async def store(messages: Messages) -> None:
            if len(messages) == 1:
                raise LookupError

        async with TestNatsBroker(broker):
            await subscriber.deliver([message()] * 3)
            with pytest.raises(LookupError):
                await subscriber.deliver([message()])

        labels = {"broker": "nats", "handler": SUBJECT, "app_name": "faststream"}
        count = registry.get_sample_value
        assert count("faststream_received_messages_total", labels) == 4
        assert count("faststream_received_processed_messages_total", labels | {"status": "error"}) == 1

    def test_it_is_one_of_the_brokers_subscribers(self) -> None:
        broker = NatsBroker(logger=None)
        subscriber = of_crossings(broker)

        assert broker.subscribers == [subscriber]

    def test_a_run_that_is_over_leaves_none_behind(self) -> None:
        broker = NatsBroker(logger=None)
        subscriber = jetstream_subscriber(broker, run_streams("night").crossings, "night")
        assert broker.subscribers == [subscriber]

        del subscriber
        gc.collect()

        assert broker.subscribers == []


class TestConsumer:
    async def test_what_our_consumer_pulls_is_handled_and_acknowledged_by_the_handler(self, bus: Bus) -> None:
        subscriber = of_crossings(bus.broker)
        handled: asyncio.Queue[bytes] = asyncio.Queue()

        @subscriber
        async def store(messages: Messages) -> None:
            for each in messages:
                await each.ack()
                handled.put_nowait(each.data)

        await subscriber.start()
        for number in range(5):
            await bus.publish(SUBJECT, b"%d" % number)
        config = ConsumerConfig(durable_name="test", ack_policy=AckPolicy.EXPLICIT)
        async with DurableConsumer(bus, CROSSINGS.name, config) as consumer:
            working = asyncio.create_task(_deliver(consumer, subscriber.deliver))
            try:
                async with asyncio.timeout(20):
                    assert [await handled.get() for _ in range(5)] == [b"%d" % number for number in range(5)]
            finally:
                working.cancel()
                await asyncio.wait([working])

        async def all_acknowledged() -> bool:
            info = await bus.js.consumer_info(CROSSINGS.name, "test")
            return (info.num_ack_pending, info.num_pending) == (0, 0)

        await eventually(all_acknowledged)

    async def test_faststream_makes_no_consumer_of_its_own(self, bus: Bus) -> None:
        subscriber = of_crossings(bus.broker)

        @subscriber
        async def store(messages: Messages) -> None:
            raise AssertionError(messages)

        await subscriber.start()

        assert await bus.js.consumers_info(CROSSINGS.name) == []


async def _deliver(consumer: DurableConsumer, deliver: Callable[[Any], Awaitable[None]]) -> None:
    while True:
        await deliver(await consumer.batch(2))


class TestCore:
    """Subjects that no stream keeps."""

    async def test_messages_come_as_they_are_until_the_context_ends(self, bus: Bus) -> None:
        bodies: asyncio.Queue[bytes] = asyncio.Queue()

        async def take(message: Msg) -> None:
            bodies.put_nowait(message.data)

        async with subscribed(bus.broker, "metrica.probe", take):
            await bus.client.publish("metrica.probe", b"\xff no JSON")
            first = await asyncio.wait_for(bodies.get(), 10)
        await bus.client.publish("metrica.probe", b"late")
        await bus.client.flush()

        assert first == b"\xff no JSON"
        assert bodies.empty()

    async def test_an_error_of_the_handler_does_not_keep_the_next_message_from_it(self, bus: Bus) -> None:
        bodies: asyncio.Queue[bytes] = asyncio.Queue()

        async def take(message: Msg) -> None:
            if message.data == b"bad":
                raise LookupError
            bodies.put_nowait(message.data)

        async with subscribed(bus.broker, "metrica.probe", take):
            await bus.client.publish("metrica.probe", b"bad")
            await bus.client.publish("metrica.probe", b"good")

            assert await asyncio.wait_for(bodies.get(), 10) == b"good"

    async def test_of_a_queue_each_message_reaches_one(self, bus: Bus) -> None:
        taken: asyncio.Queue[str] = asyncio.Queue()

        async def first(message: Msg) -> None:
            taken.put_nowait(f"first {message.data.decode()}")

        async def second(message: Msg) -> None:
            taken.put_nowait(f"second {message.data.decode()}")

        broker = bus.broker
        async with (
            subscribed(broker, "metrica.probe", first, queue="ingest"),
            subscribed(broker, "metrica.probe", second, queue="ingest"),
        ):
            for number in range(20):
                await bus.client.publish("metrica.probe", b"%d" % number)
            numbers = [(await asyncio.wait_for(taken.get(), 10)).split()[1] for _ in range(20)]

        assert sorted(numbers, key=int) == [str(number) for number in range(20)]
        assert taken.empty()
