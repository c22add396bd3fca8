"""File descriptors: as many as the system allows, and at most one log line a minute where they run out all the same."""

from __future__ import annotations

import asyncio
import resource
import time
from typing import Any

from services.kit.logs import logger

MOST = 65_536
"""More than any service needs. Not unlimited, as some programs allocate memory for every descriptor they may open."""
KEPT_FREE = 128
"""Descriptors reserved for the database, NATS, files and logs, beside the connections of clients."""
LOG_INTERVAL = 60.0

log = logger()


def raise_limit() -> int:
    """Raise the soft limit of this process and its children to the hard one; returns the limit that now holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return MOST if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # macOS allows less than it says
        return soft
    return most


def most_connections(configured: int) -> int:
    """The number of connections that a server may have: as configured, or fewer to leave `KEPT_FREE` descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return configured
    return min(configured, max(soft - KEPT_FREE, soft // 2))


class CalmErrors:
    """An event loop's error handler that logs failures to accept connections once a minute, with their number.

    asyncio tries as often as connections wait, up to 2048 times a second, and would write a traceback for each.
    """

    def __init__(self) -> None:
        self._logged_at = -LOG_INTERVAL
        self._failures = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an error, or count it."""
        if "accept" not in str(context.get("message", "")):
            loop.default_exception_handler(context)
            return
        self._failures += 1
        now = time.monotonic()
        if now - self._logged_at >= LOG_INTERVAL:
            log.error(
                "connections wait: the system gives no more file descriptors (ulimit -n)",
                error=str(context.get("exception")),
                times=self._failures,
            )
            self._logged_at, self._failures = now, 0
