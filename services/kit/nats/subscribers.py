"""FastStream subscribers: of core subjects, and of streams whose messages our own consumer pulls.

FastStream's pull loop spins when a consumer is gone, and hides its errors (docs/decisions/009). Here the loop is ours:
what `DurableConsumer.batch` gives is handed to `deliver`, which runs it through FastStream's pipeline: middlewares,
parser, filters, dependency injection and the handler. So its Prometheus and OpenTelemetry middlewares see the traffic
of JetStream, and `TestNatsBroker` calls the handler without a server.

    crossings = jetstream_subscriber(broker, CROSSINGS)

    @crossings
    async def store(messages: Messages) -> None: ...

    async with crossings, DurableConsumer(bus, CROSSINGS.name, config) as consumer:
        while True:
            await crossings.deliver(await consumer.batch(500))

Acknowledging stays the handler's: it knows when the work is durable. An error of the handler reaches the caller of
`deliver`, and no message is acknowledged for it.

What it relies on in FastStream 0.7, beside its public names, is guarded by tests/kit/nats/test_subscribers.py:
the classes that FastStream builds its own subscribers of (`BatchPullStreamSubscriber`, `NatsSubscriberConfig`,
`NatsSubscriberSpecification`, `CallsCollection`), `process_message`, and that a broker's `subscriber` method of the
registrator adds one that is made already.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, cast

from faststream import AckPolicy, Context
from faststream._internal.broker.registrator import Registrator
from faststream._internal.endpoint.subscriber.call_item import CallsCollection
from faststream.message import StreamMessage
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.configs import NatsBrokerConfig
from faststream.nats.subscriber.config import NatsSubscriberConfig, NatsSubscriberSpecificationConfig
from faststream.nats.subscriber.specification import NatsSubscriberSpecification
from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig

from contracts.identity import LIVE
from contracts.streams import Stream

Messages = Annotated[list[Msg], Context("message.raw_message")]
"""The messages of a batch, as NATS gave them: a handler's parameter."""


class JetStreamSubscriber(BatchPullStreamSubscriber):
    """Hands batches that our consumer pulled to its handler, through FastStream's pipeline."""

    async def deliver(self, messages: Sequence[Msg]) -> None:
        """Run the handler on a batch, and wait for it.

        Raises:
            Exception: whatever the handler raised.
        """
        await self.process_message(list(messages))

    async def _create_subscription(self) -> None:
        """Nothing: the consumer is not FastStream's."""


async def _undecoded(message: StreamMessage[Any]) -> object:
    """The body as it is: a handler reads what it needs, and a picture is no JSON."""
    return message.body


def jetstream_subscriber(broker: NatsBroker, stream: Stream, run: str = LIVE) -> JetStreamSubscriber:
    """Make a subscriber and add it to a broker; its handler is attached as to FastStream's own.

    Args:
        broker: whose middlewares and context it has.
        stream: whose messages will be delivered.
        run: that they belong to. The broker forgets a subscriber of another run than the live one with its owner.
    """
    subject = stream.subjects[0]
    configuration = cast("NatsBrokerConfig", broker.config)  # as FastStream's own factory is given it
    calls = CallsCollection[Any]()
    subscriber = JetStreamSubscriber(
        NatsSubscriberConfig(
            subject=subject,
            sub_config=ConsumerConfig(filter_subjects=list(stream.subjects)),
            _outer_config=configuration,
            _ack_policy=AckPolicy.MANUAL,
            no_reply=True,
        ),
        NatsSubscriberSpecification(
            _outer_config=configuration,
            calls=calls,
            specification_config=NatsSubscriberSpecificationConfig(
                subject=subject, queue=None, title_=stream.name, description_=None, include_in_schema=True
            ),
        ),
        calls,
        stream=JStream(stream.name, declare=False),
        pull_sub=PullSub(batch=True),
    )
    Registrator.subscriber(broker, cast("Any", subscriber), persistent=run == LIVE)
    subscriber.add_call(parser_=None, decoder_=_undecoded, dependencies_=())
    return subscriber


Handle = Callable[[Msg], Awaitable[None]]


@asynccontextmanager
async def subscribed(broker: NatsBroker, subject: str, handle: Handle, *, queue: str = "") -> AsyncIterator[None]:
    """Subscribe to a subject of core NATS, at most once, for as long as the context lasts.

    A message costs about 0.2 ms on its way through the pipeline: subjects with hundreds of them a second are read in
    batches, from a stream.

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
    async def on_message(message: Annotated[Msg, Context("message.raw_message")]) -> None:
        await handle(message)

    await subscriber.start()
    try:
        yield
    finally:
        with suppress(NatsError):  # the connection is gone, and the subscription with it
            await subscriber.stop()
