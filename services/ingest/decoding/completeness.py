"""How much of a file is there, of what it says it has."""

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
"""Seconds that may be missing: tracks of one recording seldom end together."""
_WRITTEN_AFTERWARDS = ("mov", "flv", "asf", "mxf")
"""Containers whose length is written when the recording ends. MPEG-TS has none: FFmpeg guesses it by its last times."""
_PACKET, _SYNC = 188, 0x47
"""Bytes of a packet of MPEG-TS, and the first one of each."""


@dataclass(slots=True)
class Extent:
    """What was read of a video so far.

    Attributes:
        said: seconds that the video has, by its container; None where that does not say.
        damaged: pictures that could not be decoded.
        spoilt: pictures that were decoded in part: the rest of them is made up.
    """

    said: float | None
    damaged: int = 0
    spoilt: int = 0
    _begin: int | None = None
    _end: int = 0

    def add(self, at: int | None, lasts: int) -> None:
        """Note a picture that was decoded.

        Args:
            at: its time, nanoseconds, as the stream says; None where it says nothing.
            lasts: nanoseconds until the next one; 0 where that is not known.
        """
        if at is None:
            return
        self._begin = at if self._begin is None else min(self._begin, at)
        self._end = max(self._end, at + lasts)

    @property
    def missing(self) -> str:
        """The words for the end that the video lacks, once it was read; empty where it is whole."""
        read = 0.0 if self._begin is None else (self._end - self._begin) / SECOND
        if self.said is None or self.said - read <= _TOLERATED:
            return ""
        return (
            f"{_span(read)} of the {_span(self.said)} that the file says it has could be read: the rest is missing or "
            "damaged, copy it again from where it comes"
        )


def said_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """How long a track is by what its container says; None where it does not say."""
    form = container.format.name
    if form == "avi":  # FFmpeg cuts its duration to what fits into the file
        rate = stream.average_rate
        return float(stream.frames / rate) if stream.frames and rate else None
    if form.startswith("matroska"):
        tagged = _clock(stream.metadata.get("DURATION", ""))
        alone = len(container.streams) == 1 and container.duration
        return tagged or (alone / 1_000_000 if alone else None)
    if form.split(",")[0] in _WRITTEN_AFTERWARDS and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return None


def broken_end(path: Path) -> str:
    """The words for an MPEG-TS that does not end with a whole packet; empty where it does."""
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
    """Seconds of `01:02:03.400000000`; None of another text."""
    hours, _, rest = text.partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
