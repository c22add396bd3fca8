"""Ending tasks, and keeping work from being cut in half."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and wait until they have ended. Their exceptions are dropped: the caller has no use for them."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def finish(work: Coroutine[None, None, None], *, within: Callable[[], float]) -> None:
    """Do a piece of work that a cancellation does not cut in half, unless it takes too long.

    Args:
        work: the work; its errors are raised.
        within: called at a cancellation; gives the seconds that the work has left to end.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=within())
        await cancel_and_wait(task)
        raise


async def until(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Do a piece of work until an event is set, which cancels it.

    Returns:
        The work's result; None where the event came first.

    Raises:
        Exception: the work's own.
    """
    task, stopped = asyncio.create_task(work), asyncio.create_task(event.wait())
    try:
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        await cancel_and_wait(task, stopped)
