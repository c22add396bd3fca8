"""FastStream's producers, sending what is published as it is: FastStream's own add headers to each message."""

from __future__ import annotations

from typing import Any

from faststream.nats.publisher.producer import NatsFastProducerImpl, NatsJSFastProducer
from faststream.nats.response import NatsPublishCommand
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import PubAck


class CoreProducer(NatsFastProducerImpl):
    """Publishes to core NATS."""

    def __init__(self) -> None:
        super().__init__(parser=None, decoder=None)

    def connect(self, connection: Client, *args: Any, **options: Any) -> None:  # noqa: ANN401  # FastStream's
        """Take the connection."""
        super().connect(connection, *args, **options)
        self._client = connection

    async def publish(self, cmd: NatsPublishCommand) -> None:
        """Send bytes; the payload is not copied."""
        await self._client.publish(cmd.destination, cmd.body, headers=cmd.headers or None)


class JetStreamProducer(NatsJSFastProducer):
    """Publishes to a stream."""

    def __init__(self) -> None:
        super().__init__(parser=None, decoder=None)

    def connect(self, connection: JetStreamContext, *args: Any, **options: Any) -> None:  # noqa: ANN401  # FastStream's
        """Take the connection."""
        super().connect(connection, *args, **options)
        self._js = connection

    async def publish(self, cmd: NatsPublishCommand) -> PubAck:
        """Send bytes and wait until they are stored; the payload is not copied."""
        return await self._js.publish(cmd.destination, cmd.body, timeout=cmd.timeout, headers=cmd.headers or None)
