"""Ctrl-C and SIGTERM in commands that must finish their work in order."""

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
    """Let Ctrl-C and SIGTERM call a function instead of ending the command. Only the main thread can handle them."""
    loop, handles = asyncio.get_running_loop(), threading.current_thread() is threading.main_thread()
    for number in SIGNALS if handles else ():
        loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        for number in SIGNALS if handles else ():
            loop.remove_signal_handler(number)


class Terminated(BaseException):
    """SIGTERM was received within `ending_in_order`."""


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, through its `finally` blocks, rather than on the spot.

    Raises:
        Terminated: SIGTERM was received.
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
