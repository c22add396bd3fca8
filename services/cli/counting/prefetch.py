"""Read ahead: the next frames are read and encoded while the detector looks at this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

DEPTH = 8
"""Items made ahead: enough to ride out a slow frame, few enough to hold in memory."""


def ahead(items: Iterator[Item], depth: int = DEPTH) -> Generator[Item]:
    """Pass items on in order, making some of them ahead in a thread of their own.

    An error of `items` comes out in its place. Closing the generator waits for the item under way, and makes no more.
    """
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")
    coming: deque[Future[Item | None]] = deque()
    try:
        coming.extend(thread.submit(next, items, None) for _ in range(depth))
        while (item := coming.popleft().result()) is not None:
            coming.append(thread.submit(next, items, None))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
