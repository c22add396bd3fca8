"""One live stream: a browser that listens to stores, or to a camera."""

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
"""A browser that takes nothing for so long is gone: a closed laptop says no goodbye."""

log = logger()


@dataclass(frozen=True, slots=True)
class Watch:
    """Asks every so often whether the listener may still listen.

    Attributes:
        look: raises NotFound or Unauthorized where not.
        seconds: how long it is believed.
    """

    look: Callable[[], Awaitable[object]]
    seconds: float

    async def allows(self) -> bool:
        """Whether to go on. While the database is away, who is in stays in."""
        try:
            await self.look()
        except (NotFound, Unauthorized):
            return False
        except DATABASE_ERRORS:
            return True
        return True


class LiveStream(EventSourceResponse):
    """Sends a listener's mailbox until the browser goes, may listen no longer, or the API stops.

    Then the listener leaves the hub. sse-starlette ends the stream when uvicorn is told to stop. It holds no database
    session.
    """

    def __init__(
        self,
        hub: Hub,
        listener: Listener,
        heartbeat: Callable[[], bytes],
        heartbeat_seconds: float,
        watch: Watch,
        share: ExitStack,
    ) -> None:
        super().__init__(
            events(listener.mailbox, watch),
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
            if not ended:  # cut off because the API stops: say so, and the browser comes back at once
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except SendTimeoutError:
            log.info("a live stream took nothing and was closed", of=self._listener.name)
        finally:
            self._hub.leave(self._listener)
            self._share.close()


class _Encoded(ServerSentEvent):
    """An event that is encoded already."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body

    def encode(self) -> bytes:
        return self._body


async def events(mailbox: Mailbox, watch: Watch) -> AsyncIterator[bytes]:
    """What is sent, as long as the watch allows."""
    shown: dict[str, int] = {}
    head = messages.RETRY
    loop = asyncio.get_running_loop()
    due = loop.time() + watch.seconds
    while True:
        if loop.time() >= due:  # asked of a browser, too, that is always behind and never waits
            if not await watch.allows():
                return  # the browser comes back, and is told why it is not let in
            due = loop.time() + watch.seconds
        try:
            async with asyncio.timeout_at(due):
                message = await mailbox.take()
        except TimeoutError:
            continue
        if message.revision is not None:
            if message.revision <= shown.get(message.store, -1) and not message.resets:
                continue  # the snapshot held it
            shown[message.store] = message.revision
        yield head + message.body
        head = b""
