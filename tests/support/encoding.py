"""Encoding as a guest: without leaving the tests' own thread changed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def apart(encode: Callable[P, T]) -> Callable[P, T]:
    """Run an encoder on a thread of its own, which ends with it.

    SVT-AV1 gives the thread that opens it the highest real-time priority, if it may: as root. Whatever that thread then
    starts inherits it, and two programs that wait in circles with it leave 5 % of two processors to all others.
    """

    @wraps(encode)
    def run(*arguments: P.args, **named: P.kwargs) -> T:
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(encode, *arguments, **named).result()

    return run
