"""Downloads of a model's files: resumed after a broken connection, and verified before they can be used.

A file grows as `<name>.part` beside its final path and is renamed only when its checksum is right, so that a file of
that name is always complete, even if a process is killed. Replicas that share a cache take turns.
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
"""Attempts in a row without a new byte, after which a download fails."""
PAUSE = 1.0
"""Seconds before the second attempt; each later pause is twice as long."""


class DownloadFailed(Exception):
    """A file cannot be downloaded; the message is the reason, as part of a sentence."""


class ProgressCallback(Protocol):
    """Called with the progress of a download."""

    def __call__(self, file: str, done: int, total: int) -> None:
        """Take note that `done` of `total` bytes of `file` have arrived."""


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
        """The algorithm of its checksum, a name of `hashlib`."""
        return "sha256" if self.sha256 else "sha384"

    @property
    def expected(self) -> str:
        """Its checksum, in hexadecimal."""
        return self.sha256 or self.sha384

    def matches(self, path: Path) -> bool:
        """Tell whether a path holds this file, complete and unchanged."""
        return path.is_file() and path.stat().st_size == self.bytes and digest(path, self.algorithm) == self.expected


class _Interrupted(Exception):
    """The connection failed; the bytes so far are kept, and another attempt goes on from there."""


def fetch(
    file: ModelFile,
    folder: Path,
    *,
    progress: ProgressCallback | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Make sure that a file is in a folder, complete and verified; downloads the missing part of it.

    Args:
        file: to fetch.
        folder: to store it in; created if need be.
        progress: called for every chunk that arrives.
        sleep: waits between attempts.

    Returns:
        Path of the file.

    Raises:
        DownloadFailed: it cannot be downloaded. The part that arrived is kept for the next time, unless it is wrong.
    """
    path = folder / file.name
    part = folder / f"{file.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            if not file.matches(path):
                _download(file, part, progress or _silent, sleep)
                _check(file, part)
                part.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            part.unlink(missing_ok=True)
            raise DownloadFailed(
                f"there is no space left in {folder} for the {file.bytes / 1e6:.1f} MB of {file.name}"
            ) from error
        raise DownloadFailed(f"{error.filename or folder} cannot be written ({error.strerror or error})") from error
    return path


def _download(file: ModelFile, part: Path, progress: ProgressCallback, sleep: Callable[[float], None]) -> None:
    """Bring the part to its full size, over several connections if need be."""
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


def _continue(client: httpx.Client, file: ModelFile, part: Path, progress: ProgressCallback) -> None:
    """Go on from the end of the part, over one connection."""
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
                for chunk in answer.iter_raw():
                    opened.write(chunk)
                    done += len(chunk)
                    if done > file.bytes:
                        break  # the server may send without end
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
    """Refuse a file with another checksum than the published one, and remove it, so that it is not resumed for ever."""
    actual = digest(part, file.algorithm)
    if actual != file.expected:
        part.unlink()
        raise DownloadFailed(
            f"{file.name} from {file.address} has the {file.algorithm.upper()} {actual}, expected is {file.expected}: "
            "it is not the published file, and was removed"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes."""
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
    """Ignore the progress."""
