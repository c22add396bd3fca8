"""Blocking work, such as opening and reading a camera, beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


def in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run blocking work in a daemon thread of its own, which does not keep the process alive.

    The loop's shared pool would not do: a few hanging cameras would block all others there.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # a result where there is no error

    def body() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # raised again where the future is awaited
            failure = error
        with suppress(RuntimeError):  # the loop has ended, and its futures with it
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=body, daemon=True).start()
    return future


@dataclass(frozen=True, slots=True)
class _Ended:
    """The end of an iteration, with the error that ended it, if any."""

    error: BaseException | None


async def iterate_in_thread(items: Iterator[T]) -> AsyncGenerator[T]:
    """Iterate in one thread, step by step: an item is computed only once the caller has finished with the one before.

    Use it within `contextlib.aclosing`, so that a cancelled caller ends the thread at once. A step under way is not
    waited for; its item or error is dropped.

    Args:
        items: used by the thread alone.

    Raises:
        BaseException: as the iterator raised it.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[T | _Ended] = asyncio.Queue()
    asked = threading.Semaphore(0)
    closed = threading.Event()

    def work() -> None:
        for item in items:
            loop.call_soon_threadsafe(arrived.put_nowait, item)
            asked.acquire()
            if closed.is_set():
                return

    def end(working: asyncio.Future[None]) -> None:
        arrived.put_nowait(_Ended(None if working.cancelled() else working.exception()))

    working = in_thread(work)
    working.add_done_callback(end)
    try:
        while not isinstance(item := await arrived.get(), _Ended):
            yield item
            asked.release()
        if item.error is not None:
            raise item.error
    finally:
        closed.set()
        asked.release()
        working.cancel()
