"""Checksums of weights: they identify the model behind each count, and prove that it is the published or pinned one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from services.detector.backends.protocol import ModelUnavailable

PINS = "checksums.sha256"
"""A list as `sha256sum` writes it, in the model's folder or the one above: the files that it names must match."""

_LINE = re.compile(r"^\\?(?P<sum>[0-9a-fA-F]{64}) [ *](?P<path>.+)$")
_BLOCK = 1 << 20


def digest(path: Path, algorithm: str = "sha256") -> str:
    """A file's checksum in hexadecimal."""
    return _digest([path], algorithm)


def weights_sum(files: Sequence[Path]) -> str:
    """The SHA-256 of weights in one or several files: as `cat model.xml model.bin | sha256sum` prints it."""
    return _digest(files, "sha256")


def check_pins(files: Sequence[Path]) -> bool:
    """Check a model's files against the lists of checksums beside them; without a list, any file is accepted.

    A list that names one of the files must name them all, so that weights cannot be swapped under a pinned description.

    Returns:
        True where a list names them.

    Raises:
        ModelUnavailable: a file is not the pinned one, or the list cannot be read.
    """
    lists = [parent / PINS for folder in {file.parent for file in files} for parent in (folder, folder.parent)]
    return sum(_check(pins, files) for pins in lists if pins.is_file()) > 0


def _check(pins: Path, files: Sequence[Path]) -> bool:
    pinned = _read(pins)
    named = [file for file in files if file.resolve() in pinned]
    for file in files if named else ():
        expected, actual = pinned.get(file.resolve()), digest(file)
        if expected is None:
            raise ModelUnavailable(
                f"{pins} pins {named[0].name} but not {file.name} of the same model. "
                f"Add the line: {actual}  {file.name}"
            )
        if expected != actual:
            raise ModelUnavailable(
                f"{file} is not the file that {pins} pins: its SHA-256 is {actual}, expected is {expected}. "
                "Put the pinned file back, or change the list if the new one is meant."
            )
    return bool(named)


def _read(pins: Path) -> dict[Path, str]:
    """The checksums in a list, by absolute path."""
    pinned = {}
    try:
        lines = pins.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelUnavailable(f"{pins} cannot be read ({error}), so no model beside it is trusted.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise ModelUnavailable(
                f"{pins}, line {number}, is not a SHA-256, two spaces and a file name, as sha256sum writes it."
            )
        pinned[(pins.parent / match["path"]).resolve()] = match["sum"].lower()
    return pinned


def _digest(files: Sequence[Path], algorithm: str) -> str:
    total = hashlib.new(algorithm)
    for file in files:
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK):
                total.update(block)
    return total.hexdigest()
