"""Ctrl-C as a wish, where a command has something to bring to its end."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM call this, in place of ending the command. Only the main thread hears them."""
    loop, hears = asyncio.get_running_loop(), threading.current_thread() is threading.main_thread()
    for number in SIGNALS if hears else ():
        loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        for number in SIGNALS if hears else ():
            loop.remove_signal_handler(number)


class Terminated(BaseException):
    """SIGTERM came, where `ending_in_order` is."""


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, by way of its `finally`s; without this it ends on the spot.

    Raises:
        Terminated: it came.
    """

    def end(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
