"""What a browser has not read yet: at most one message of each kind, always the newest.

Every event of the live side is absolute (totals, a status, the boxes of a frame): a newer one makes the older of its
kind worthless. A slow browser therefore skips, and neither its memory here nor its delay grows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """An event, encoded once for all browsers.

    Attributes:
        key: what it is about; it takes the place of an unread message with the same key.
        body: bytes of the server-sent event.
        store: whose snapshot holds it; empty for what none holds.
        revision: of totals, the store's version; None for what has none.
        resets: whether it stands whatever was sent of its store before (a snapshot).
    """

    key: Key
    body: bytes
    store: str = ""
    revision: int | None = None
    resets: bool = False


class Mailbox:
    """The unread messages of one browser, oldest kind first."""

    def __init__(self) -> None:
        self._unread: dict[Key, Message] = {}
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._unread)

    def put(self, message: Message) -> bool:
        """Leave a message; tells whether an unread one was thrown away for it.

        A snapshot holds what was unread of its store: left in its place, that would hold up the totals that come after
        the snapshot, and they would be read before it.
        """
        replaced = message.key in self._unread
        if message.resets:
            self.forget(message.store)
        self._unread[message.key] = message
        self._arrived.set()
        return replaced

    def begin(self, messages: Iterable[Message]) -> None:
        """Throw away what is unread, and leave what holds it all."""
        self._unread.clear()
        for message in messages:
            self.put(message)

    def forget(self, store: str) -> None:
        """Throw away what is unread of a store."""
        self._unread = {key: message for key, message in self._unread.items() if message.store != store}

    async def take(self) -> Message:
        """The next message; waits for one."""
        while not self._unread:
            self._arrived.clear()
            await self._arrived.wait()
        return self._unread.pop(next(iter(self._unread)))
