"""A segment: a stretch of a camera's frames and detections in one file, with the specs that go with them.

The file is a sequence of records, each a line of JSON; a frame's is followed by its JPEG and a line's end:

    {"metrica": "segment", "version": 1, "since": 1767258000000000000}
    {"spec": {"camera": "door", "revision": 7, …}}
    {"frame": {"camera": "door", "seq": 12, …}, "bytes": 61234}
    … 61234 bytes …
    {"detections": {"camera": "door", "seq": 12, …}, "stored_at": 1767258000123456000}
    {"until": 1767258060000000000}

It can be written as things come, and one that was cut off anywhere plays up to there.
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
from services.cli.console.errors import Refused
from services.cli.replaying.history import AROUND, Held

MARK, VERSION = "segment", 1
AT_ONCE = 64
"""Records that are read in one go."""


class SegmentWriter:
    """Writes a new segment; use it as a context.

    Args:
        path: of the file.
        since: the beginning of what it is about, ns UTC; what comes before lets a tracker find who is there by then.

    Raises:
        Refused: the file cannot be made, or is there already.
    """

    def __init__(self, path: Path, since: int) -> None:
        try:
            self._file: BinaryIO = path.open("xb")
        except FileExistsError:
            raise Refused(f"{path} is there already: give another name by -o") from None
        except OSError as error:
            raise Refused(f"{path} cannot be written: {error.strerror}") from None
        self._specs: set[tuple[str, int]] = set()
        self.frames = self.detections = 0
        self._put({"metrica": MARK, "version": VERSION, "since": since})

    def knows(self, camera: str, revision: int) -> bool:
        """Whether the spec of a camera at a revision is in it."""
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
        """Add what was seen in a frame, and when that was stored."""
        self.detections += 1
        self._put({"detections": event.model_dump(mode="json", exclude_none=True), "stored_at": stored_at})

    def end(self, until: int) -> None:
        """Say where what it is about ends, ns UTC."""
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
    """A record: what it says, and where its bytes are in the file, if it has some."""

    said: dict[str, Any]  # any JSON
    place: int
    bytes: int


class SegmentPast:
    """A segment's file as a source of runs; see `services.cli.replaying.history.Past`.

    Raises:
        Refused: the file cannot be read, or is no segment.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.since: int | None = None
        self.until: int | None = None
        self.whole = False
        """Whether it has its end: otherwise the file was cut off, or its recording."""
        self._specs: dict[tuple[str, int], CameraSpec] = {}
        self._held: dict[tuple[RunKind, str], Held] = {}
        try:
            self._look_through()
        except OSError as error:
            raise Refused(f"{path} cannot be read: {error.strerror}") from None

    async def cameras(self, kind: RunKind) -> list[str]:
        """See `Past`."""
        return sorted(camera for known, camera in self._held if known is kind)

    async def held(self, kind: RunKind, camera: str) -> Held | None:
        """See `Past`."""
        return self._held.get((kind, camera))

    async def spec(self, camera: str, revision: int | None = None) -> CameraSpec | None:
        """See `Past`."""
        if revision is None:
            revision = max((number for name, number in self._specs if name == camera), default=0)
        return self._specs.get((camera, revision))

    async def detections(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[Detections, int]]:
        """See `Past`."""
        async for record, _ in self._read("detections"):
            event = Detections.model_validate(record["detections"])
            if event.camera == camera and _is_near(event.captured_at, begin, until):
                yield event, record["stored_at"]

    async def frames(self, camera: str, begin: int, until: int) -> AsyncIterator[tuple[FrameHeader, bytes]]:
        """See `Past`."""
        async for record, jpeg in self._read("frame"):
            header = FrameHeader.model_validate(record["frame"])
            if header.camera == camera and _is_near(header.captured_at, begin, until):
                yield header, jpeg

    async def _read(self, kind: str) -> AsyncIterator[tuple[dict[str, Any], bytes]]:  # any JSON
        with self._path.open("rb") as file:
            records = _with_bytes(file, kind)
            while batch := await asyncio.to_thread(lambda: list(islice(records, AT_ONCE))):
                for one in batch:
                    yield one

    def _look_through(self) -> None:
        with self._path.open("rb") as file:
            for number, record in enumerate(_records(file)):
                said = record.said
                if number == 0:
                    if said.get("metrica") != MARK or said.get("version") != VERSION:
                        break
                    self.since = said["since"]
                elif "spec" in said:
                    spec = CameraSpec.model_validate(said["spec"])
                    self._specs[spec.camera, spec.revision] = spec
                elif "until" in said:
                    self.until, self.whole = said["until"], True
                elif "frame" in said:
                    self._note(RunKind.FRAMES, said["frame"])
                elif "detections" in said:
                    self._note(RunKind.DETECTIONS, said["detections"])
        if self.since is None:
            raise Refused(f"{self._path} is no segment: `metrica record` makes them")

    def _note(self, kind: RunKind, said: dict[str, Any]) -> None:  # any JSON
        camera, at = said["camera"], said["captured_at"]
        before = self._held.get((kind, camera))
        self._held[kind, camera] = Held(
            store=said["store"],
            first=at if before is None else min(before.first, at),
            last=at if before is None else max(before.last, at),
            frames=1 if before is None else before.frames + 1,
        )


def _is_near(captured_at: int, begin: int, until: int) -> bool:
    return begin - AROUND <= captured_at < until + AROUND


def _records(file: BinaryIO) -> Iterator[_Record]:
    """The records of a segment, as far as they are whole; their bytes are passed over."""
    size = file.seek(0, 2)
    file.seek(0)
    with suppress(ValueError, KeyError):
        while (line := file.readline()).endswith(b"\n"):
            said = json.loads(line)
            place, length = file.tell(), int(said.get("bytes", -1))
            if length >= 0:
                if place + length + 1 > size:
                    return
                file.seek(place + length + 1)
            yield _Record(said, place, length)


def _with_bytes(file: BinaryIO, kind: str) -> Iterator[tuple[dict[str, Any], bytes]]:  # any JSON
    for record in _records(file):
        if kind in record.said:
            after = file.tell()
            file.seek(record.place)
            data = file.read(max(0, record.bytes))
            file.seek(after)
            yield record.said, data
