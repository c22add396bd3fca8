"""Retries through an outage: delays that grow, with jitter, and one line in the log."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nats.errors import Error as NatsError

from services.kit.logs import logger

FIRST_DELAY, LONGEST_DELAY = 0.05, 2.0
"""Seconds."""
JITTER = 0.5
"""Part of a delay that is drawn: after a restart of the broker, replicas do not all ask in the same moment."""
BROKER_AWAY: tuple[type[Exception], ...] = (NatsError, TimeoutError, OSError)
"""Errors of a request to NATS that may succeed later."""

T = TypeVar("T")

log = logger()


class Backoff:
    """Growing delays between tries. One object per outage; `reset` after a success."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY

    async def wait(self) -> float:
        """Sleep for about the present delay and double it. Returns the seconds slept."""
        delay = self._delay * random.uniform(1 - JITTER, 1)  # noqa: S311  # jitter, no secret
        self._delay = min(self._delay * 2, LONGEST_DELAY)
        await asyncio.sleep(delay)
        return delay

    def reset(self) -> None:
        """Begin anew with the shortest delay."""
        self._delay = FIRST_DELAY


async def retry(
    work: Callable[[], Awaitable[T]],
    waiting: str = "",
    *,
    on: tuple[type[Exception], ...] = BROKER_AWAY,
    is_permanent: Callable[[Exception], bool] = lambda _: False,
    report: Callable[..., object] = log.warning,
    describe: Callable[[Exception], str] = lambda error: str(error) or type(error).__name__,
    **context: object,
) -> T:
    """Do a piece of work until it succeeds.

    Args:
        work: is called anew for each try.
        waiting: the log's text at the first failure; without one, nothing is logged.
        on: errors after which it is tried again; others are raised.
        is_permanent: tells an error among them after which trying again is in vain: it is raised.
        report: writes the line, as `log.info` does.
        describe: the text of an error.
        context: fields of the line.
    """
    backoff, reported = Backoff(), False
    while True:
        try:
            return await work()
        except on as error:
            if is_permanent(error):
                raise
            stay_cancelled()
            if waiting and not reported:
                report(waiting, reason=describe(error), **context)
                reported = True
        await backoff.wait()


def stay_cancelled() -> None:
    """Raise the cancellation that a caught error may have replaced, or that was lost.

    If a task is cancelled while its connection breaks, asyncpg raises its own error in place of the cancellation. In
    Python 3.11 `asyncio.wait_for`, which libraries use, loses one that comes together with the result (gh-86296). So
    loops without end ask here, too: a task that goes on keeps the process from ending.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
