"""Classification of database errors: permanent (a bad row, for the dead letters) or transient (retry).

A bad row fails every time: it goes to the dead letters, alone. Any other error of Postgres or of the connection (away,
restarting, read-only, deadlock, disk full, tables not yet created, a missing permission) can end, and the rows are
good: they are retried for as long as it takes (`write_all`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg

from services.kit.retry import Backoff, stay_cancelled

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
"""Errors that may pass: check for `BAD_ROW` first, as some of them are among these."""

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
    """Write a batch in its order. Returns once all rows but bad ones are committed, after any outage of the database.

    A part with a bad row is halved until the row is alone.

    Args:
        batch: the rows.
        write: commits a whole part, or nothing of it.
        refuse: called with each bad row and the reason.
        unable: called with a part that failed for now, and its error, before it is retried. It may have been committed,
            and only the answer lost.
    """
    backoff = Backoff()  # not `retry`: each failure is told to the caller, and a try with a bad row is a success
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


def in_words(error: BaseException) -> str:
    """The error's message and, where known, the remedy, on one line."""
    words = " ".join(str(error).split()) or type(error).__name__
    hint = next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), None)
    return f"{words}: {hint}" if hint else words
