"""A consumer that replicas share: each message goes to one of them, and comes again until it is acked."""

from __future__ import annotations

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig

from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ack_progress import AckProgress
from services.kit.nats.consumers.consumer import Consumer

ACK_WAIT = 30.0
"""The server's default."""


class DurableConsumer(Consumer):
    """This replica's messages of a durable consumer. The caller acks each.

    Args:
        bus: the connection.
        stream: its name.
        config: the consumer's, with its durable name.
        ahead: most messages that are prefetched.
        work_limit: seconds for which in-progress acks keep a message from being redelivered; None sends none.
    """

    def __init__(
        self, bus: Bus, stream: str, config: ConsumerConfig, *, ahead: int = 256, work_limit: float | None = None
    ) -> None:
        super().__init__(bus, stream, config, ahead=ahead)
        self._progress = AckProgress(config.ack_wait or ACK_WAIT, work_limit) if work_limit else None

    @property
    def idle(self) -> bool:
        """True where every message that was prefetched has been taken."""
        return not self._arrived

    async def close(self) -> None:
        """Stop reading. Prefetched messages get a nak, so that the server redelivers them at once."""
        await super().close()
        if self._progress is not None:
            await self._progress.end()
        unhandled = list(self._arrived)
        self._arrived.clear()
        for msg in unhandled:
            try:
                await msg.nak()
            except NatsError:
                break  # no connection: they are redelivered after their ack wait

    async def _prepare(self) -> ConsumerConfig:
        """Prefetched messages stay: the server redelivers them only after their ack wait."""
        return self._config

    def _accept(self, msg: Msg) -> bool:
        if self._progress is not None:
            self._progress.add(msg)
        return True

    def _taken(self, msg: Msg) -> None:
        """Nothing: the server remembers what was acked."""
