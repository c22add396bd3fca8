"""A way to NATS on which an answer gets lost: the server has done what it was asked, and the asker never hears it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from services.kit.settings import ServiceSettings
from services.kit.tasks import cancel_and_wait

_WITH_BODY = (b"PUB", b"HPUB", b"MSG", b"HMSG")


class Line:
    """A TCP proxy that reads NATS's protocol.

    Attributes:
        settings: those of the server, by way of this line.
        lost: set once an answer was lost.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        where = urlsplit(settings.nats_url)
        self._server = where.hostname or "127.0.0.1", where.port or 4222
        self._given = settings
        self._deaf_to: str | None = None
        self._inbox: bytes | None = None
        self.settings = settings
        self.lost = asyncio.Event()

    def lose_answer_to(self, subject: str) -> None:
        """Lose the answer to the next message that is published there."""
        self._deaf_to = subject
        self.lost.clear()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Listen, for as long as the context lasts."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**24)
        port = listener.sockets[0].getsockname()[1]
        self.settings = self._given.model_copy(update={"nats_url": f"nats://127.0.0.1:{port}"})
        try:
            yield
        finally:
            listener.close()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(*self._server, limit=2**24)
        ways = [
            asyncio.create_task(self._pass(client, to_server, self._note)),
            asyncio.create_task(self._pass(server, to_client, self._may_pass)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                await cancel_and_wait(way)
            to_server.close()
            to_client.close()

    async def _pass(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, may_pass: Callable[[list[bytes]], bool]
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while line := await source.readline():
                words = line.split()
                body = b""
                if words and words[0] in _WITH_BODY:
                    body = await source.readexactly(int(words[-1]) + 2)
                if may_pass(words):
                    to.write(line + body)
                    await to.drain()

    def _note(self, words: list[bytes]) -> bool:
        if words and words[0] in _WITH_BODY and words[1].decode() == self._deaf_to:
            self._deaf_to, self._inbox = None, words[2]
        return True

    def _may_pass(self, words: list[bytes]) -> bool:
        if not words or words[0] not in _WITH_BODY or self._inbox is None or words[1] != self._inbox:
            return True
        self._inbox = None
        self.lost.set()
        return False
