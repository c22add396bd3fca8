"""FastStream's broker, mended where it and nats-py leave a service hanging."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Any

from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

CLOSE_TIMEOUT = 1.0


class SturdyBroker(NatsBroker):
    """FastStream's broker, on a connection that loses no cancellation; an end while the server is away is no error."""

    async def _connect(self) -> Client:
        connection = await super()._connect()
        _keep_cancellations(connection)
        return connection

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """Flush what was published and close the connection."""
        try:
            await super().stop(exc_type, exc_val, exc_tb)
        except (NatsError, TimeoutError, OSError):
            if self._connection is not None:
                with suppress(NatsError, TimeoutError, OSError):
                    async with asyncio.timeout(CLOSE_TIMEOUT):  # a socket whose other end died may never say so
                        await self._connection.close()


def _keep_cancellations(client: Client) -> None:
    """Let a task that is told to end while it waits for the server end indeed.

    nats-py waits with `asyncio.wait_for`, and that of Python 3.11 swallows a cancellation that comes together with the
    answer (gh-86296): the task would go on for ever, and who waits for its end with it.
    """
    ask = client.request

    async def request(
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,  # noqa: ASYNC109  # nats-py's own signature
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        answer = await ask(subject, payload, timeout, old_style, headers)
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
        return answer

    client.request = request  # type: ignore[method-assign]  # of this connection
