"""The rules of reading ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from services.cli.counting.prefetch import ahead


def test_items_come_in_order_and_all_of_them() -> None:
    assert list(ahead(iter(range(100)), depth=7)) == list(range(100))


def test_nothing_to_make_is_no_trouble() -> None:
    empty: list[int] = []

    assert list(ahead(iter(empty))) == []


def test_error_comes_out_in_its_place() -> None:
    def failing() -> Iterator[int]:
        yield from (1, 2, 3)
        raise OSError("the disk is gone")

    taken: list[int] = []
    with pytest.raises(OSError, match="the disk is gone"):
        taken.extend(ahead(failing(), depth=2))

    assert taken == [1, 2, 3]


def test_items_are_made_while_the_taker_works() -> None:
    made = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for number in count():
            made.release()
            yield number

    coming = ahead(items(), depth=4)
    next(coming)

    assert all(made.acquire(timeout=5) for _ in range(4))
    coming.close()


def test_closing_stops_the_making() -> None:
    threads = set(threading.enumerate())
    coming = ahead(count(), depth=4)
    next(coming)
    coming.close()

    assert set(threading.enumerate()) <= threads
