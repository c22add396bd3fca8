"""Standard output that may end before the command does: a reader that has seen enough, a full disk, a closed one."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from services.cli.console.errors import Refused

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Lost(Exception):
    """Standard output cannot be written. It is no OSError, so that nobody takes it for one of a file or a socket."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Output(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise _Lost(error) from error


@contextmanager
def written_out() -> Iterator[None]:
    """Write to standard output, all of it by the end. A reader that has seen enough, as `head`, is no error.

    Raises:
        Refused: it is closed, or cannot be written.
        SystemExit: 0, where nobody reads on.
    """
    if sys.stderr is None:  # closed: what is told there would go to whatever is opened next
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  # for as long as the process runs
    if sys.stdout is None:
        raise Refused("standard output is closed, and what the command finds would be lost: send it to a file")
    before: TextIO = sys.stdout
    if sys.stdout is sys.__stdout__:
        raw = _Output(before.fileno(), "w", closefd=False)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), before.encoding, before.errors, line_buffering=before.isatty()
        )
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except _Lost as lost:
        _discard()
        if lost.cause.errno == errno.EPIPE:
            sys.exit(0)
        raise Refused(f"standard output cannot be written: {lost.cause.strerror}: send it elsewhere") from lost
    finally:
        sys.stdout = before


def _discard() -> None:
    """Lead what is still in buffers to nowhere: Python would try to write it at its end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    with suppress(_Lost, OSError):
        sys.stdout.flush()
