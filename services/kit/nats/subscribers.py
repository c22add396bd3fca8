"""FastStream subscribers: of core subjects, and of streams whose messages our own consumer pulls.

FastStream's pull loop spins when a consumer is gone, and hides its errors (docs/decisions/009). Here the loop is ours:
what `DurableConsumer.batch` gives is handed to `deliver`, which runs it through FastStream's pipeline: middlewares,
parser, filters and the handler. So its Prometheus and OpenTelemetry middlewares see the traffic of JetStream, and
`TestNatsBroker` calls the handler without a server.

    crossings = jetstream_subscriber(broker, CROSSINGS)

    @crossings
    async def store(messages: list[Msg]) -> None: ...

    async with crossings, DurableConsumer(bus, CROSSINGS.name, config) as consumer:
        while True:
            await crossings.deliver(await consumer.batch(500))

Acknowledging stays the handler's: it knows when the work is durable. An error of the handler reaches the caller of
`deliver`, and no message is acknowledged for it. Core subjects with many messages a second are read in batches, too,
by `subscribed_in_batches`.

What it relies on in FastStream 0.7, beside its public names, is guarded by tests/kit/nats/test_subscribers.py:
the classes that FastStream builds its own subscribers of (`BatchPullStreamSubscriber`, `NatsSubscriberConfig`,
`NatsSubscriberSpecification`, `CallsCollection`), how `process_message` does its work, and that the `subscriber` method
of a broker's registrator adds one that is made already.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar, cast

from faststream import AckPolicy, BaseMiddleware
from faststream._internal.broker.registrator import Registrator
from faststream._internal.endpoint.subscriber.call_item import CallsCollection
from faststream.message import StreamMessage
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.configs import NatsBrokerConfig
from faststream.nats.subscriber.config import NatsSubscriberConfig, NatsSubscriberSpecificationConfig
from faststream.nats.subscriber.specification import NatsSubscriberSpecification
from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber
from faststream.response import Response, ensure_response
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig

from contracts.streams import Stream
from services.kit.logs import logger
from services.kit.tasks import cancel_and_wait

MOST_AHEAD = 1024
"""Messages that wait for their batch at most."""
_NO_STREAM = "core"
"""In place of a stream's name: no stream keeps the messages."""

log = logger()

T = TypeVar("T")


class BatchSubscriber(BatchPullStreamSubscriber):
    """Hands batches that others have read to its handler, through FastStream's pipeline."""

    async def deliver(self, messages: Sequence[Msg]) -> Any:  # noqa: ANN401  # whatever the handler returns
        """Run the handler on a batch, wait for it, and return its result.

        Raises:
            Exception: whatever the handler raised.
        """
        return (await self.process_message(list(messages))).body

    async def process_message(self, msg: Any) -> Response:  # noqa: ANN401  # FastStream's own signature
        """Parse a batch, and run the middlewares and the handler on it.

        FastStream's own enters a dozen contexts for each batch, for its log, for what it injects and for its own
        subscribers' end: all but what it injects, which the Bus does without, is of no use here.
        """
        if self._outer_config.fd_config.use_fastdepends:
            return await super().process_message(msg)
        context = self._outer_config.context
        middlewares = [make(msg, context=context) for make in self._broker_middlewares]
        (call,) = self.calls
        message = await call.is_suitable(msg, {})
        assert message is not None  # there is no filter
        scopes = [middleware.consume_scope for middleware in reversed(middlewares)]
        return ensure_response(await _within(middlewares, partial(call.call, message, scopes)))

    async def _create_subscription(self) -> None:
        """Nothing: the consumer is not FastStream's."""


async def _within(middlewares: Sequence[BaseMiddleware], work: Callable[[], Awaitable[T]]) -> T:
    """Enter middlewares, the first one outermost, and do some work in them."""
    if not middlewares:
        return await work()
    async with middlewares[0]:
        return await _within(middlewares[1:], work)


async def _undecoded(message: StreamMessage[Any]) -> Any:  # noqa: ANN401  # a message, or the list of a batch
    """The messages as NATS gave them: a handler reads what it needs, and a picture is no JSON."""
    return message.raw_message


def jetstream_subscriber(broker: NatsBroker, stream: Stream) -> BatchSubscriber:
    """Make a subscriber of a stream's messages; its handler is attached as to FastStream's own.

    The broker forgets it with its owner: runs end, and partitions move to other replicas.
    """
    return _batch_subscriber(broker, stream.subjects, stream.name)


def _batch_subscriber(broker: NatsBroker, subjects: Sequence[str], name: str) -> BatchSubscriber:
    configuration = cast("NatsBrokerConfig", broker.config)  # as FastStream's own factory is given it
    calls = CallsCollection[Any]()
    subscriber = BatchSubscriber(
        NatsSubscriberConfig(
            subject=subjects[0],
            sub_config=ConsumerConfig(filter_subjects=list(subjects)),
            _outer_config=configuration,
            _ack_policy=AckPolicy.MANUAL,
            no_reply=True,
        ),
        NatsSubscriberSpecification(
            _outer_config=configuration,
            calls=calls,
            specification_config=NatsSubscriberSpecificationConfig(
                subject=subjects[0], queue=None, title_=name, description_=None, include_in_schema=True
            ),
        ),
        calls,
        stream=JStream(name, declare=False),
        pull_sub=PullSub(batch=True),
    )
    Registrator.subscriber(broker, cast("Any", subscriber), persistent=False)
    subscriber.add_call(parser_=None, decoder_=_undecoded, dependencies_=())
    return subscriber


Handle = Callable[[Msg], Awaitable[None]]
HandleAll = Callable[[Sequence[Msg]], Awaitable[None]]


@asynccontextmanager
async def subscribed(broker: NatsBroker, subject: str, handle: Handle, *, queue: str = "") -> AsyncIterator[None]:
    """Subscribe to a subject of core NATS, at most once, for as long as the context lasts.

    Args:
        broker: connected.
        subject: with or without wildcards.
        handle: called with each message, one after the other. Its errors are logged, and the next message comes.
        queue: of replicas with the same one, each message reaches one.
    """
    subscriber = broker.subscriber(
        subject, queue=queue, ack_policy=AckPolicy.MANUAL, no_reply=True, decoder=_undecoded, persistent=False
    )

    @subscriber
    async def on_message(message: Msg) -> None:
        await _survive(handle(message), subject)

    await subscriber.start()
    try:
        yield
    finally:
        with suppress(NatsError):  # the connection is gone, and the subscription with it
            await subscriber.stop()


@asynccontextmanager
async def subscribed_in_batches(
    broker: NatsBroker, subject: str, handle: HandleAll, *, pause: float = 0.0
) -> AsyncIterator[None]:
    """Subscribe to a subject of core NATS with many messages a second, for as long as the context lasts.

    Args:
        broker: connected.
        subject: with or without wildcards.
        handle: called with all messages that wait, in their order. Its errors are logged, and the next ones come.
        pause: seconds after a batch in which messages wait for the next one.
    """
    subscriber = _batch_subscriber(broker, (subject,), _NO_STREAM)

    @subscriber
    async def on_messages(messages: list[Msg]) -> None:
        await _survive(handle(messages), subject)

    async def deliver() -> None:
        while True:
            messages = [await arrived.get()]
            while not arrived.empty():
                messages.append(arrived.get_nowait())
            await subscriber.deliver(messages)
            await asyncio.sleep(pause)

    arrived: asyncio.Queue[Msg] = asyncio.Queue(MOST_AHEAD)  # beyond it, nats-py's own limits hold
    async with subscriber:
        client: Client = broker.connection
        subscription = await client.subscribe(subject, cb=arrived.put)
        delivering = asyncio.create_task(deliver(), name=f"deliver {subject}")
        try:
            yield
        finally:
            with suppress(NatsError):  # the connection is gone, and the subscription with it
                await subscription.unsubscribe()
            await cancel_and_wait(delivering)


async def _survive(handling: Awaitable[None], subject: str) -> None:
    try:
        await handling
    except Exception:  # a handler may raise anything; core NATS brings no message again, and the next ones come
        log.exception("a message broke its handler", subject=subject)
