"""Work in threads beside the event loop: what is asked for, what is raised, and what ends it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from services.ingest.threads import iterate_in_thread


class Counting:
    """Counts up, and remembers how far it was asked for, and in which threads."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.threads: set[threading.Thread] = set()

    def numbers(self, end: int) -> Iterator[int]:
        for number in range(end):
            self.asked.append(number)
            self.threads.add(threading.current_thread())
            yield number


async def test_items_come_in_order_to_the_last_from_one_thread() -> None:
    counting = Counting()
    async with aclosing(iterate_in_thread(counting.numbers(3))) as numbers:
        assert [number async for number in numbers] == [0, 1, 2]
    assert len(counting.threads - {threading.current_thread()}) == 1


async def test_an_item_is_computed_only_when_the_one_before_is_done_with() -> None:
    counting = Counting()
    async with aclosing(iterate_in_thread(counting.numbers(3))) as numbers:
        async for number in numbers:
            await asyncio.sleep(0)
            assert counting.asked == list(range(number + 1))


async def test_an_error_comes_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 0
        raise OSError("gone")

    seen: list[int] = []

    async def consume() -> None:
        async with aclosing(iterate_in_thread(failing())) as numbers:
            async for number in numbers:
                seen.append(number)

    with pytest.raises(OSError, match="gone"):
        await consume()
    assert seen == [0]


@pytest.mark.parametrize("working", [True, False], ids=["with an item in hand", "while it waits for one"])
async def test_a_cancelled_caller_ends_the_thread(working: bool) -> None:
    counting, hindered = Counting(), threading.Event()
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow() -> Iterator[int]:
        for number in counting.numbers(5):
            if not working:
                loop.call_soon_threadsafe(entered.set)
                hindered.wait()
            yield number

    async def consume() -> None:
        async with aclosing(iterate_in_thread(slow())) as numbers:
            async for _ in numbers:
                entered.set()
                await asyncio.Event().wait()

    consuming = asyncio.create_task(consume())
    await entered.wait()
    consuming.cancel()
    await asyncio.gather(consuming, return_exceptions=True)
    hindered.set()

    (thread,) = counting.threads
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()
    assert (consuming.cancelled(), counting.asked) == (True, [0])
