"""Prefetching: the next frames are read and encoded while the detector processes the present one."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

DEPTH = 8
"""Number of prefetched items: enough to bridge a slow frame, few enough to hold in memory."""


def ahead(items: Iterator[Item], depth: int = DEPTH) -> Generator[Item]:
    """Iterate over items in order, while a thread prefetches the next `depth` of them.

    An error of `items` is raised in its place. Closing the generator waits for the item in progress, and starts none.
    """
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")
    pending: deque[Future[Item | None]] = deque()
    try:
        pending.extend(thread.submit(next, items, None) for _ in range(depth))
        while (item := pending.popleft().result()) is not None:
            pending.append(thread.submit(next, items, None))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
