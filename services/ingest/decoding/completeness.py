"""Completeness of files: detects videos whose end is missing or damaged."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from services.ingest.decimator import SECOND

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_TOLERATED = 1.0
"""Seconds that may be missing: the tracks of a recording seldom end together."""
_WRITTEN_AFTERWARDS = ("mov", "flv", "asf", "mxf")
"""Containers whose length is written when the recording ends. For MPEG-TS, FFmpeg guesses it by the last times."""
_PACKET, _SYNC = 188, 0x47
"""Size of an MPEG-TS packet in bytes, and the value of its first byte."""


@dataclass(slots=True)
class Extent:
    """The part of a video that was read so far.

    Attributes:
        announced: length of the video by its container, seconds; None where the container does not say.
        damaged: number of pictures that could not be decoded.
        corrupt: number of pictures that were decoded in part; the decoder made up the rest of them.
    """

    announced: float | None
    damaged: int = 0
    corrupt: int = 0
    _begin: int | None = None
    _end: int = 0

    def add(self, at: int | None, lasts: int) -> None:
        """Add a decoded picture.

        Args:
            at: its time in the stream, ns; None where the stream gives none.
            lasts: its duration, ns; 0 where it is unknown.
        """
        if at is None:
            return
        self._begin = at if self._begin is None else min(self._begin, at)
        self._end = max(self._end, at + lasts)

    @property
    def missing(self) -> str:
        """The message about the missing end of a video that was read; empty where it is whole."""
        read = 0.0 if self._begin is None else (self._end - self._begin) / SECOND
        if self.announced is None or self.announced - read <= _TOLERATED:
            return ""
        return (
            f"{_span(read)} of the {_span(self.announced)} that the file says it has could be read: "
            "the rest is missing or damaged, copy it again from where it comes"
        )


def announced_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """The length of a track by its container, seconds; None where the container does not say."""
    container_format = container.format.name
    if container_format == "avi":  # FFmpeg cuts its duration to what fits into the file
        rate = stream.average_rate
        return float(stream.frames / rate) if stream.frames and rate else None
    if container_format.startswith("matroska"):
        tagged = _clock(stream.metadata.get("DURATION", ""))
        alone = len(container.streams) == 1 and container.duration
        return tagged or (alone / 1_000_000 if alone else None)
    if container_format.split(",")[0] in _WRITTEN_AFTERWARDS and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return None


def broken_end(path: Path) -> str:
    """The message about an MPEG-TS file that does not end with a whole packet; empty where it does."""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(2 * _PACKET)
        if len(head) < 2 * _PACKET or not head[0] == head[_PACKET] == _SYNC:
            return ""
        size = path.stat().st_size
        file.seek(size - size % _PACKET - _PACKET)
        whole = file.read(1) == bytes([_SYNC])
        if whole and not size % _PACKET:
            return ""
        how = "was cut off" if whole else "does not end with video"
        return f"the file {how}, and does not say how much is missing: compare it with the recorder's"
    return ""


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _clock(text: str) -> float | None:
    """Parse `01:02:03.400000000` into seconds; None for any other text."""
    hours, _, rest = text.partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
