"""Batches that our consumer pulls go through FastStream's pipeline; guards what this relies on in FastStream."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated, Any

import pytest
from faststream import BaseMiddleware, Context
from faststream.nats import NatsBroker, TestNatsBroker
from faststream.nats.prometheus import NatsPrometheusMiddleware
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NoStreamResponseError
from prometheus_client import REGISTRY, CollectorRegistry

from contracts.streams import CROSSINGS, run_streams
from contracts.subjects import crossings, tracks
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.durable_consumer import DurableConsumer
from services.kit.nats.subscribers import (
    MOST_AHEAD,
    BatchSubscriber,
    jetstream_subscriber,
    subscribed,
    subscribed_in_batches,
)
from services.kit.nats.traffic import TrafficMetrics
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, eventually

Count = Callable[..., float]
SUBJECT = crossings("live", "shop", "door")


def message(data: bytes = b"{}") -> Msg:
    return Msg(_client=None, subject=SUBJECT, data=data)  # type: ignore[arg-type]  # nothing is sent by it


def of_crossings(broker: NatsBroker) -> BatchSubscriber:
    return jetstream_subscriber(broker, CROSSINGS)


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    async with connected(settings, everything=True) as bus:
        yield bus


class TestPipeline:
    async def test_the_handler_gets_the_messages_of_a_batch_as_they_are(self) -> None:
        broker = NatsBroker(logger=None, apply_types=False)
        subscriber = of_crossings(broker)
        batches: list[list[bytes]] = []

        @subscriber
        async def store(messages: list[Msg]) -> None:
            batches.append([each.data for each in messages])

        async with TestNatsBroker(broker):
            await subscriber.deliver([message(b"\xff\xd8 a picture"), message(b"not JSON"), message(b"")])

        assert batches == [[b"\xff\xd8 a picture", b"not JSON", b""]]

    async def test_an_error_of_the_handler_reaches_whoever_delivers(self) -> None:
        broker = NatsBroker(logger=None, apply_types=False)
        subscriber = of_crossings(broker)

        @subscriber
        async def store(messages: list[Msg]) -> None:
            raise LookupError(len(messages))

        async with TestNatsBroker(broker):
            with pytest.raises(LookupError):
                await subscriber.deliver([message()])

    async def test_a_broker_that_injects_dependencies_injects_them_here_too(self) -> None:
        broker = NatsBroker(logger=None)
        subscriber = of_crossings(broker)
        seen: list[object] = []

        @subscriber
        async def store(
            messages: Annotated[list[Msg], Context("message.raw_message")], writer: Annotated[str, Context()]
        ) -> None:
            seen.append((writer, len(messages)))

        broker.context.set_global("writer", "the writer")
        async with TestNatsBroker(broker):
            await subscriber.deliver([message()])

        assert seen == [("the writer", 1)]

    async def test_a_test_broker_calls_it_without_a_server(self) -> None:
        broker = NatsBroker(logger=None, apply_types=False)
        subscriber = of_crossings(broker)
        bodies: list[bytes] = []

        @subscriber
        async def store(messages: list[Msg]) -> None:
            bodies.extend(each.data for each in messages)

        async with TestNatsBroker(broker) as tested:
            await tested.publish(b"one", SUBJECT)
            await tested.publish(b"elsewhere", "metrica.live.paths.shop.door")

        assert bodies == [b"one"]

    async def test_middlewares_enclose_the_handler_the_first_one_outermost(self) -> None:
        events: list[str] = []

        def middleware(name: str) -> type[BaseMiddleware]:
            class Named(BaseMiddleware):
                async def on_receive(self) -> None:
                    events.append(f"{name} begins")

                async def consume_scope(self, call_next: Any, msg: Any) -> Any:  # noqa: ANN401  # FastStream's
                    events.append(f"{name} calls")
                    return await call_next(msg)

                async def after_processed(self, *_: object) -> bool | None:
                    events.append(f"{name} ends")
                    return False

            return Named

        broker = NatsBroker(logger=None, apply_types=False, middlewares=[middleware("outer"), middleware("inner")])
        subscriber = of_crossings(broker)

        @subscriber
        async def store(messages: list[Msg]) -> int:
            events.append("the handler")
            return len(messages)

        async with TestNatsBroker(broker):
            assert await subscriber.deliver([message()] * 2) == 2

        assert events == [
            *("outer begins", "inner begins", "outer calls", "inner calls"),
            *("the handler", "inner ends", "outer ends"),
        ]

    async def test_metrics_of_faststream_count_batches_messages_and_errors(self) -> None:
        registry = CollectorRegistry()
        broker = NatsBroker(logger=None, apply_types=False, middlewares=[NatsPrometheusMiddleware(registry=registry)])
        subscriber = of_crossings(broker)

        @subscriber
        async def store(messages: list[Msg]) -> None:
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
        broker = NatsBroker(logger=None, apply_types=False)
        subscriber = of_crossings(broker)

        assert broker.subscribers == [subscriber]

    def test_a_run_that_is_over_leaves_none_behind(self) -> None:
        broker = NatsBroker(logger=None, apply_types=False)
        subscriber = jetstream_subscriber(broker, run_streams("night").crossings)
        assert broker.subscribers == [subscriber]

        del subscriber
        gc.collect()

        assert broker.subscribers == []


class TestConsumer:
    async def test_what_our_consumer_pulls_is_handled_and_acknowledged_by_the_handler(self, bus: Bus) -> None:
        subscriber = of_crossings(bus.broker)
        handled: asyncio.Queue[bytes] = asyncio.Queue()

        @subscriber
        async def store(messages: list[Msg]) -> None:
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
        async def store(messages: list[Msg]) -> None:
            raise AssertionError(messages)

        await subscriber.start()

        assert await bus.js.consumers_info(CROSSINGS.name) == []


async def _deliver(consumer: DurableConsumer, deliver: Callable[[Any], Awaitable[None]]) -> None:
    while True:
        await deliver(await consumer.batch(2))


class TestInBatches:
    """Subjects that no stream keeps, with many messages."""

    async def test_messages_that_wait_come_together_and_in_order(self, bus: Bus) -> None:
        batches: asyncio.Queue[list[bytes]] = asyncio.Queue()

        async def take(messages: Sequence[Msg]) -> None:
            batches.put_nowait([each.data for each in messages])

        async with subscribed_in_batches(bus.broker, "metrica.probe", take, pause=0.2):
            for number in range(1 + MOST_AHEAD):
                await bus.client.publish("metrica.probe", b"%d" % number)
            taken: list[list[bytes]] = []
            async with asyncio.timeout(10):
                while sum(map(len, taken)) <= MOST_AHEAD:
                    taken.append(await batches.get())
        await bus.client.publish("metrica.probe", b"late")
        await bus.client.flush()

        assert [each for batch in taken for each in batch] == [b"%d" % number for number in range(1 + MOST_AHEAD)]
        assert len(taken) < 20
        assert batches.empty()

    async def test_an_error_of_the_handler_does_not_keep_the_next_batch_from_it(self, bus: Bus) -> None:
        bodies: asyncio.Queue[bytes] = asyncio.Queue()
        broken = asyncio.Event()

        async def take(messages: Sequence[Msg]) -> None:
            if messages[0].data == b"bad":
                broken.set()
                raise LookupError
            bodies.put_nowait(messages[0].data)

        async with subscribed_in_batches(bus.broker, "metrica.probe", take):
            await bus.client.publish("metrica.probe", b"bad")
            await asyncio.wait_for(broken.wait(), 10)
            await bus.client.publish("metrica.probe", b"good")

            assert await asyncio.wait_for(bodies.get(), 10) == b"good"


class TestTraffic:
    """The metrics of a service's own connection."""

    @pytest.fixture
    def count(self, bus: Bus) -> Count:
        bus.broker.add_middleware(TrafficMetrics)

        def value(name: str, **labels: str) -> float:
            return REGISTRY.get_sample_value(f"metrica_bus_{name}", labels) or 0.0

        before: dict[str, float] = {}
        for metric in REGISTRY.collect():
            before |= {f"{each.name}{each.labels}": each.value for each in metric.samples}

        def count(name: str, **labels: str) -> float:
            """The rise since the test began."""
            return value(name, **labels) - before.get(f"metrica_bus_{name}{labels}", 0.0)

        return count

    async def test_what_is_published_is_counted_by_its_kind(self, bus: Bus, count: Count) -> None:
        for camera in ("door", "gate"):
            await bus.publish(crossings("live", "shop", camera), b"{}")
            await bus.send(tracks("live", "shop", camera), b"{}")

        assert count("published_total", kind="crossings") == 2
        assert count("published_total", kind="tracks") == 2

    async def test_a_refused_message_is_counted_as_an_error(self, bus: Bus, count: Count) -> None:
        with pytest.raises(NoStreamResponseError):
            await bus.try_publish("metrica.live.nothing", b"{}")

        assert count("failed_total", kind="other", action="send") == 1
        assert count("published_total", kind="other") == 0

    async def test_what_is_received_is_counted_by_its_kind(self, bus: Bus, count: Count) -> None:
        cameras: asyncio.Queue[str] = asyncio.Queue()

        async def take(messages: Sequence[Msg]) -> None:
            for each in messages:
                cameras.put_nowait(each.subject)

        async with subscribed_in_batches(bus.broker, tracks("live", "*", "*"), take):
            for camera in ("door", "gate"):
                await bus.send(tracks("live", "shop", camera), bytes(500))
            for _ in range(2):
                await asyncio.wait_for(cameras.get(), 10)

        assert count("received_total", kind="tracks") == 2
        assert 1 <= count("handling_seconds_count", kind="tracks") <= 2

    async def test_a_batch_whose_handler_fails_is_counted_as_failed(self, bus: Bus, count: Count) -> None:
        subscriber = of_crossings(bus.broker)

        @subscriber
        async def store(messages: list[Msg]) -> None:
            raise LookupError

        await subscriber.start()
        with pytest.raises(LookupError):
            await subscriber.deliver([message()] * 3)

        assert count("received_total", kind="crossings") == 3
        assert count("failed_total", kind="crossings", action="receive") == 1

    async def test_messages_are_sent_as_they_are_without_headers_of_faststream(self, bus: Bus) -> None:
        await bus.publish(SUBJECT, b"\xff\xd8", headers={"Metrica-Camera": "door"}, msg_id="live/1")

        stored = await bus.js.get_msg(CROSSINGS.name, 1)
        assert (stored.data, stored.headers) == (b"\xff\xd8", {"Metrica-Camera": "door", "Nats-Msg-Id": "live/1"})


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
