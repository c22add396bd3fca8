"""File descriptors: as many as the system allows, and a calm word in the log where they run out all the same."""

from __future__ import annotations

import asyncio
import resource
import time
from typing import Any

from services.kit.logs import logger

MOST = 65_536
"""More than that many no service needs, and some programs make room for all that they may have."""
KEPT_FREE = 128
"""For the database, NATS, files and logs: connections of clients never take the last ones."""
TOLD_EVERY = 60.0

log = logger()


def raise_limit() -> int:
    """Raise the soft limit of this process and its children to the hard one; returns what holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return MOST if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # macOS allows less than it says
        return soft
    return most


def most_connections(wanted: int) -> int:
    """How many connections a server may have: those wanted, or what leaves descriptors for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(soft - KEPT_FREE, soft // 2))


class CalmErrors:
    """An event loop's handler of errors that tells one line a minute of connections that could not be accepted.

    asyncio tries as often as connections wait, up to 2048 times a second, and would write a traceback for each.
    """

    def __init__(self) -> None:
        self._told_at = -TOLD_EVERY
        self._since = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Tell an error."""
        if "accept" not in str(context.get("message", "")):
            loop.default_exception_handler(context)
            return
        self._since += 1
        now = time.monotonic()
        if now - self._told_at >= TOLD_EVERY:
            log.error(
                "connections wait: the system gives no more file descriptors (ulimit -n)",
                error=str(context.get("exception")),
                times=self._since,
            )
            self._told_at, self._since = now, 0
