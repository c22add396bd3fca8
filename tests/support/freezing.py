"""Stopping processes without ending them, with SIGSTOP: what a hang, a swap storm or a sleeping machine looks like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil


def freeze(pid: int) -> list[psutil.Process]:
    """Stop a process and its children: Postgres's have process groups of their own. Returns what is to be thawed."""
    parent = psutil.Process(pid)
    parent.suspend()  # first, so that it begets no more
    family = [parent, *parent.children(recursive=True)]
    for child in family[1:]:
        with suppress(psutil.NoSuchProcess):
            child.suspend()
    return family


def thaw(family: Sequence[psutil.Process]) -> None:
    """Let frozen processes go on, those of them that are still there."""
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.resume()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process and its children stand still for as long as the context lasts."""
    family = freeze(pid)
    try:
        yield
    finally:
        thaw(family)
