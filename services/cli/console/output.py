"""Standard output that may fail before the command ends: a reader that stops, a full disk, a closed descriptor."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from services.cli.console.errors import CommandError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Lost(Exception):
    """Standard output cannot be written. No OSError, so that it is not taken for one of a file or a socket."""

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
    """Write to standard output, and flush it at the end. A reader that stops early, as `head`, is no error.

    Raises:
        CommandError: it is closed, or cannot be written.
        SystemExit: with code 0, if the reader has stopped.
    """
    if sys.stderr is None:  # closed: its descriptor would be that of the next file to be opened
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  # for as long as the process runs
    if sys.stdout is None:
        raise CommandError("standard output is closed, and the command's output would be lost: send it to a file")
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
        raise CommandError(f"standard output cannot be written: {lost.cause.strerror}: send it elsewhere") from lost
    finally:
        sys.stdout = before


def _discard() -> None:
    """Flush the buffers to /dev/null: Python would try to write them at its end, and complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    with suppress(_Lost, OSError):
        sys.stdout.flush()
