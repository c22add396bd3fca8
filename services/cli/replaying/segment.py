"""Segments: files with a camera's frames and detections of a period, and the specs that these refer to.

The file is a sequence of records, each a line of JSON; a frame's is followed by its JPEG and a line's end:

    {"metrica": "segment", "version": 1, "since": 1767258000000000000}
    {"spec": {"camera": "door", "revision": 7, …}}
    {"frame": {"camera": "door", "seq": 12, …}, "bytes": 61234}
    … 61234 bytes …
    {"detections": {"camera": "door", "seq": 12, …}, "stored_at": 1767258000123456000}
    {"until": 1767258060000000000}

It is written record by record. A truncated file is valid up to its last complete record.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

from contracts.events import Detections
from contracts.frames import FrameHeader
from contracts.runs import RunKind
from contracts.spec import CameraSpec
from services.cli.console.errors import CommandError
from services.replay.history import AROUND, StoredExtent

MARK, VERSION = "segment", 1
AT_ONCE = 64
"""Number of records that are read at a time."""


class SegmentWriter:
    """Writes a new segment; use it as a context.

    Args:
        path: of the file.
        since: begin of its period, ns UTC; earlier frames let the tracker find the people in view at that time.

    Raises:
        CommandError: the file cannot be made, or exists already.
    """

    def __init__(self, path: Path, since: int) -> None:
        try:
            self._file: BinaryIO = path.open("xb")
        except FileExistsError:
            raise CommandError(f"{path} exists already: give another name by -o") from None
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}") from None
        self._specs: set[tuple[str, int]] = set()
        self.frames = self.detections = 0
        self._put({"metrica": MARK, "version": VERSION, "since": since})

    def knows(self, camera: str, revision: int) -> bool:
        """Tell if it contains a camera's spec at a revision."""
        return (camera, revision) in self._specs

    def add_spec(self, spec: CameraSpec) -> None:
        """Add a spec, once."""
        if not self.knows(spec.camera, spec.revision):
            self._specs.add((spec.camera, spec.revision))
            self._put({"spec": spec.model_dump(mode="json")})

    def add_frame(self, header: FrameHeader, jpeg: bytes) -> None:
        """Add a frame."""
        self.frames += 1
        self._put({"frame": header.model_dump(mode="json", exclude_none=True), "bytes": len(jpeg)}, jpeg)

    def add_detections(self, event: Detections, stored_at: int) -> None:
        """Add a frame's detections, and the time of their storage."""
        self.detections += 1
        self._put({"detections": event.model_dump(mode="json", exclude_none=True), "stored_at": stored_at})

    def end(self, until: int) -> None:
        """Write the end of its period, ns UTC."""
        self._put({"until": until})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _put(self, record: dict[str, Any], data: bytes | None = None) -> None:  # any JSON
        line = json.dumps(record, separators=(",", ":")).encode()
        self._file.write(line + b"\n" if data is None else b"%b\n%b\n" % (line, data))
        self._file.flush()


class _Record(NamedTuple):
    """A record: its fields, and the position and number of its bytes; a number of −1 for none."""

    fields: dict[str, Any]  # any JSON
    position: int
    bytes: int


class SegmentHistory:
    """A segment's file as a source of runs; see `services.replay.history.HistorySource`.

    Raises:
        CommandError: the file cannot be read, or is no segment.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.since: int | None = None
        self.until: int | None = None
        self.whole = False
        """True if it has its end: otherwise the file or its recording is incomplete."""
        self._specs: dict[tuple[str, int], CameraSpec] = {}
        self._extents: dict[tuple[RunKind, str], StoredExtent] = {}
        try:
            self._scan()
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}") from None

    async def cameras(self, kind: RunKind) -> list[str]:
        """See `HistorySource`."""
        return sorted(camera for known, camera in self._extents if known is kind)

    async def extent(self, kind: RunKind, camera: str) -> StoredExtent | None:
        """See `HistorySource`."""
        return self._extents.get((kind, camera))

    async def spec(self, camera: str, revision: int | None = None) -> CameraSpec | None:
        """See `HistorySource`."""
        if revision is None:
            revision = max((number for name, number in self._specs if name == camera), default=0)
        return self._specs.get((camera, revision))

    async def detections(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[Detections, int]]:
        """See `HistorySource`."""
        async for record, _ in self._read("detections"):
            event = Detections.model_validate(record["detections"])
            if event.camera == camera and _is_near(event.captured_at, begin, until):
                yield event, record["stored_at"]

    async def frames(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[FrameHeader, bytes]]:
        """See `HistorySource`."""
        async for record, jpeg in self._read("frame"):
            header = FrameHeader.model_validate(record["frame"])
            if header.camera == camera and _is_near(header.captured_at, begin, until):
                yield header, jpeg

    async def _read(self, kind: str) -> AsyncIterator[tuple[dict[str, Any], bytes]]:  # any JSON
        with self._path.open("rb") as file:
            records = _with_bytes(file, kind)
            while batch := await asyncio.to_thread(lambda: list(islice(records, AT_ONCE))):
                for record in batch:
                    yield record

    def _scan(self) -> None:
        with self._path.open("rb") as file:
            for number, record in enumerate(_records(file)):
                fields = record.fields
                if number == 0:
                    if fields.get("metrica") != MARK or fields.get("version") != VERSION:
                        break
                    self.since = fields["since"]
                elif "spec" in fields:
                    spec = CameraSpec.model_validate(fields["spec"])
                    self._specs[spec.camera, spec.revision] = spec
                elif "until" in fields:
                    self.until, self.whole = fields["until"], True
                elif "frame" in fields:
                    self._extend(RunKind.FRAMES, fields["frame"])
                elif "detections" in fields:
                    self._extend(RunKind.DETECTIONS, fields["detections"])
        if self.since is None:
            raise CommandError(f"{self._path} is no segment: make one by `metrica record`")

    def _extend(self, kind: RunKind, fields: dict[str, Any]) -> None:  # any JSON
        camera, at = fields["camera"], fields["captured_at"]
        before = self._extents.get((kind, camera))
        self._extents[kind, camera] = StoredExtent(
            store=fields["store"],
            first=at if before is None else min(before.first, at),
            last=at if before is None else max(before.last, at),
            frames=1 if before is None else before.frames + 1,
        )


def _is_near(captured_at: int, begin: int, until: int) -> bool:
    return begin - AROUND <= captured_at < until + AROUND


def _records(file: BinaryIO) -> Iterator[_Record]:
    """Yield the complete records of a segment, without reading their bytes."""
    size = file.seek(0, 2)
    file.seek(0)
    with suppress(ValueError, KeyError):
        while (line := file.readline()).endswith(b"\n"):
            fields = json.loads(line)
            position, length = file.tell(), int(fields.get("bytes", -1))
            if length >= 0:
                if position + length + 1 > size:
                    return
                file.seek(position + length + 1)
            yield _Record(fields, position, length)


def _with_bytes(file: BinaryIO, kind: str) -> Iterator[tuple[dict[str, Any], bytes]]:  # any JSON
    for record in _records(file):
        if kind in record.fields:
            after = file.tell()
            file.seek(record.position)
            data = file.read(max(0, record.bytes))
            file.seek(after)
            yield record.fields, data
