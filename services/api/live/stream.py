"""A live stream: the response that sends a listener's mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Scope, Send

from services.api.http.problems import DATABASE_ERRORS, NotFound, Unauthorized
from services.api.live import messages
from services.api.live.hub import Hub, Listener
from services.api.live.mailbox import Mailbox
from services.kit.logs import logger

SEND_TIMEOUT = 30.0
"""Seconds after which a browser that reads nothing is disconnected, such as on a closed laptop."""

log = logger()


@dataclass(frozen=True, slots=True)
class RightsCheck:
    """Checks from time to time that the listener still has its rights.

    Attributes:
        look: raises NotFound or Unauthorized if not.
    """

    look: Callable[[], Awaitable[object]]
    seconds: float

    async def allows(self) -> bool:
        """Tell whether the stream may go on. While the database is away, it does."""
        try:
            await self.look()
        except (NotFound, Unauthorized):
            return False
        except DATABASE_ERRORS:
            return True
        return True


class LiveStream(EventSourceResponse):
    """Sends a listener's mailbox until the browser disconnects, loses its rights, or the API stops.

    Then the listener leaves the hub. sse-starlette ends the stream when uvicorn shuts down. A stream holds no database
    session.
    """

    def __init__(
        self,
        hub: Hub,
        listener: Listener,
        heartbeat: Callable[[], bytes],
        heartbeat_seconds: float,
        check: RightsCheck,
        share: ExitStack,
    ) -> None:
        super().__init__(
            events(listener.mailbox, check),
            ping=heartbeat_seconds,
            ping_message_factory=lambda: _Encoded(heartbeat()),
            send_timeout=SEND_TIMEOUT,
        )
        self._hub, self._listener, self._share = hub, listener, share

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream."""
        ended = False

        async def watched(message: AsgiMessage) -> None:
            nonlocal ended
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await super().__call__(scope, receive, watched)
            if not ended:  # the API stops: end the response properly, so that the browser reconnects at once
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except SendTimeoutError:
            log.info("a live stream took nothing and was closed", of=self._listener.name)
        finally:
            self._hub.leave(self._listener)
            self._share.close()


class _Encoded(ServerSentEvent):
    """An encoded event."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body

    def encode(self) -> bytes:
        return self._body


async def events(mailbox: Mailbox, check: RightsCheck) -> AsyncIterator[bytes]:
    """The encoded messages of a mailbox, for as long as the check allows."""
    sent: dict[str, int] = {}
    head = messages.RETRY
    loop = asyncio.get_running_loop()
    due = loop.time() + check.seconds
    while True:
        if loop.time() >= due:  # also for a browser that is always behind, and never waits
            if not await check.allows():
                return  # the browser reconnects, and gets the reason
            due = loop.time() + check.seconds
        try:
            async with asyncio.timeout_at(due):
                message = await mailbox.take()
        except TimeoutError:
            continue
        if message.revision is not None:
            if message.revision <= sent.get(message.store, -1) and not message.resets:
                continue  # the snapshot included it
            sent[message.store] = message.revision
        yield head + message.body
        head = b""
