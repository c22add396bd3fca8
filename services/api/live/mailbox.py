"""Mailbox of a listener: its unread messages, at most one of each key, always the newest.

All events of live streams but crossings are absolute (totals, a status, the tracks in a frame): a newer one replaces an
older one. A slow browser therefore skips events, and neither its memory here nor its delay grows. Of crossings, the
newest few of each camera are kept.
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
        key: kind and object; the message replaces an unread one with the same key.
        body: bytes of the server-sent event.
        store: store whose snapshot includes it; empty if no snapshot does.
        revision: version of the store, for totals and snapshots; else None.
        resets: whether it is sent regardless of the revision before (a snapshot).
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
        """Add a message. Returns whether it replaced an unread one.

        A snapshot removes the unread messages of its store, which it includes. Later totals would otherwise take their
        place in the order, before the snapshot.
        """
        replaced = message.key in self._unread
        if message.resets:
            self.forget(message.store)
        self._unread[message.key] = message
        self._arrived.set()
        return replaced

    def begin(self, messages: Iterable[Message]) -> None:
        """Replace all unread messages by snapshots."""
        self._unread.clear()
        for message in messages:
            self.put(message)

    def forget(self, store: str) -> None:
        """Remove the unread messages of a store."""
        self._unread = {key: message for key, message in self._unread.items() if message.store != store}

    async def take(self) -> Message:
        """The next message; waits for one."""
        while not self._unread:
            self._arrived.clear()
            await self._arrived.wait()
        return self._unread.pop(next(iter(self._unread)))
