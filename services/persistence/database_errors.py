"""Whose fault a failure is: the row's, or the database's.

A bad row fails every time: it goes to the dead letters, alone. Anything else that Postgres or the way to it reports
(away, restarting, read-only, deadlock, disk full, tables not yet made, a right missing) may pass or be mended, and the
rows are good: they are tried again for as long as it takes (`write_all`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg

from services.kit.nats.bus import Backoff

R = TypeVar("R")

BAD_ROW = (
    asyncpg.DataError,  # class 22, and asyncpg's own refusal to encode: out of range, a NUL in a text …
    asyncpg.IntegrityConstraintViolationError,  # class 23
    asyncpg.ProgramLimitExceededError,  # class 54: too long for an index or a row
)
"""The row can never be stored."""

AWAY = (
    OSError,  # refused, reset, unreachable, no such host; TimeoutError is one
    asyncpg.PostgresConnectionError,  # class 08
    asyncpg.OperatorInterventionError,  # class 57: shutting down, starting up
    asyncpg.TooManyConnectionsError,
)
"""The database cannot be reached now."""

UNABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The database did not do it now, `BAD_ROW` aside."""

_HINTS = {
    asyncpg.UndefinedTableError: "run `python -m services.persistence.migrate`",
    asyncpg.InsufficientPrivilegeError: "METRICA_DATABASE_URL must name the role that ran the migrations",
    asyncpg.DiskFullError: "free some space on the database's disk; nothing is lost meanwhile",
    asyncpg.InvalidPasswordError: "correct the password in METRICA_DATABASE_URL",
    asyncpg.InvalidCatalogNameError: "create it, or correct its name in METRICA_DATABASE_URL",
}


async def write_all(
    batch: Sequence[R],
    write: Callable[[Sequence[R]], Awaitable[None]],
    *,
    refuse: Callable[[R, str], None],
    unable: Callable[[Sequence[R], Exception], None],
) -> None:
    """Write a batch in its order. Returns once all that can ever be stored is committed, however long that takes.

    A part with a bad row is halved until the row is alone.

    Args:
        batch: the rows.
        write: commits all of a part, or nothing.
        refuse: takes a row that can never be stored, and why.
        unable: is told which part the database does not take now, and why: it may have been committed with only the
            answer lost, and is tried again.
    """
    backoff = Backoff()
    parts = [batch] if batch else []
    while parts:
        part = parts.pop()
        try:
            await write(part)
        except BAD_ROW as error:
            if len(part) == 1:
                refuse(part[0], in_words(error))
            else:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
        except UNABLE as error:
            stay_cancelled()
            unable(part, error)
            parts.append(part)
            await backoff.wait()
        else:
            backoff.reset()


def stay_cancelled() -> None:
    """Where a failure was caught: go on ending if this task was told to end.

    asyncpg, cancelled on a connection that breaks at that moment, raises its own error in place of the cancellation.

    Raises:
        asyncio.CancelledError: the task was cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def in_words(error: BaseException) -> str:
    """What happened, and what to do where that is known, on one line."""
    words = " ".join(str(error).split()) or type(error).__name__
    hint = next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), None)
    return f"{words}: {hint}" if hint else words
