"""Fetching a model's files: resumed where a connection broke, checked before anybody can use them.

A file grows as `<name>.part` beside its place and gets its name only when its sum is right, so that what has the name
is whole, whoever is killed and whenever. Replicas that share a cache take turns.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import httpx
from pydantic import BaseModel, ConfigDict, model_validator

from services.detector.models.checksums import digest

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
ATTEMPTS = 3
"""In a row that bring no new byte, before we give up."""
PAUSE = 1.0
"""Seconds before the second attempt; each later pause is twice as long."""


class DownloadFailed(Exception):
    """A file cannot be had; the message says why, as a part of a sentence."""


class Progress(Protocol):
    """Is told how far a download is."""

    def __call__(self, file: str, done: int, total: int) -> None:
        """`done` of `total` bytes of `file` are there."""


class ModelFile(BaseModel):
    """One file of a model, as its publisher describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    address: str
    bytes: int
    sha256: str = ""
    sha384: str = ""

    @model_validator(mode="after")
    def _can_be_checked(self) -> ModelFile:
        if not (self.sha256 or self.sha384):
            raise ValueError(f"{self.name} has no sum: what cannot be checked is not downloaded")
        return self

    @property
    def algorithm(self) -> str:
        """By which it is checked."""
        return "sha256" if self.sha256 else "sha384"

    @property
    def expected(self) -> str:
        """Its sum, in hexadecimal."""
        return self.sha256 or self.sha384

    def matches(self, path: Path) -> bool:
        """Whether this file lies there whole."""
        return path.is_file() and path.stat().st_size == self.bytes and digest(path, self.algorithm) == self.expected


class _Interrupted(Exception):
    """The connection failed; what came so far stays, and another attempt goes on from there."""


def fetch(
    file: ModelFile,
    folder: Path,
    *,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Make sure that a file lies in a folder, whole and checked; downloads what is missing of it.

    Args:
        file: what to fetch.
        folder: where to; made if need be.
        progress: is told of every piece that arrives.
        sleep: waits between attempts.

    Returns:
        Where the file lies.

    Raises:
        DownloadFailed: it cannot be had; what came of it is kept for the next time, unless it is wrong.
    """
    place = folder / file.name
    part = folder / f"{file.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _turn(folder):
            if not file.matches(place):
                _download(file, part, progress or _silent, sleep)
                _check(file, part)
                part.replace(place)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            part.unlink(missing_ok=True)
            raise DownloadFailed(
                f"there is no space left in {folder} for the {file.bytes / 1e6:.1f} MB of {file.name}"
            ) from error
        raise DownloadFailed(f"{error.filename or folder} cannot be written ({error.strerror or error})") from error
    return place


def _download(file: ModelFile, part: Path, progress: Progress, sleep: Callable[[float], None]) -> None:
    """Bring the part to its full size, over as many connections as it takes."""
    fruitless, before = 0, -1
    with httpx.Client(timeout=TIMEOUT, follow_redirects=True) as client:
        while (done := _size(part)) != file.bytes:
            fruitless = 0 if done > before else fruitless + 1
            before = max(done, before)
            try:
                _continue(client, file, part, progress)
            except _Interrupted as error:
                if fruitless + 1 >= ATTEMPTS:
                    raise DownloadFailed(str(error)) from error
                sleep(PAUSE * 2**fruitless)


def _continue(client: httpx.Client, file: ModelFile, part: Path, progress: Progress) -> None:
    """One connection: go on from the end of the part."""
    done = _size(part)
    if done > file.bytes:
        part.unlink()
        done = 0
    # A compressed answer could not be resumed: byte numbers would mean the compressed stream.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        with client.stream("GET", file.address, headers=headers) as answer:
            done = _starts_at(answer, file, part, done)
            with part.open("r+b" if done else "wb") as opened:
                opened.seek(done)
                for piece in answer.iter_raw():
                    opened.write(piece)
                    done += len(piece)
                    if done > file.bytes:
                        break  # somebody sends without end; the sum will tell
                    progress(file.name, done, file.bytes)
                opened.flush()
                os.fsync(opened.fileno())
    except httpx.TimeoutException as error:
        raise _Interrupted(f"{_host(file)} did not answer in time") from error
    except httpx.TransportError as error:
        raise _Interrupted(f"{_host(file)} could not be reached or broke off ({error})") from error
    except httpx.InvalidURL as error:
        raise DownloadFailed(f"{file.address} is no address ({error})") from error
    if done > file.bytes:
        part.unlink()
        raise DownloadFailed(f"{file.address} is longer than the {file.bytes} bytes that were published")
    if done < file.bytes:
        raise _Interrupted(f"{file.address} ended after {done} of {file.bytes} bytes")


def _starts_at(answer: httpx.Response, file: ModelFile, part: Path, done: int) -> int:
    """The byte that the answer's body begins with."""
    if answer.status_code == httpx.codes.OK:
        return 0
    if answer.status_code == httpx.codes.PARTIAL_CONTENT:
        match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if match and int(match[1]) == done:
            return done
    if answer.status_code in (httpx.codes.PARTIAL_CONTENT, httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE):
        part.unlink(missing_ok=True)
        raise _Interrupted(f"{file.address} cannot be continued at byte {done}")
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise _Interrupted(f"{_host(file)} answers {answer.status_code} {answer.reason_phrase} for {file.address}")
    raise DownloadFailed(f"{_host(file)} answers {answer.status_code} {answer.reason_phrase} for {file.address}")


def _check(file: ModelFile, part: Path) -> None:
    """Let only the published file pass; another one is removed, so that it is not resumed for ever."""
    found = digest(part, file.algorithm)
    if found != file.expected:
        part.unlink()
        raise DownloadFailed(
            f"{file.name} from {file.address} has the {file.algorithm.upper()} {found}, expected is {file.expected}: "
            "it is not the published file, and was removed"
        )


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One process at a time in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _host(file: ModelFile) -> str:
    return httpx.URL(file.address).host


def _silent(file: str, done: int, total: int) -> None:
    """Nobody wants to know."""
