"""The video track of a container that shows the scene: never a cover, a still picture or a sub-stream."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from av.error import FFmpegError
from av.stream import Disposition

from services.ingest.source import SourceRefused

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_STILL = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
FASTEST = 300.0
"""Frames a second; a stream that is faster by its times has broken ones."""
_FEWEST_TIMES = 5
_ENOUGH_PACKETS = 40
"""A track that has shown at most one packet while the others showed so many each holds a still picture."""
_MOST_PACKETS = 5000
PacketTimes = dict[int, list[float | None]]


@dataclass(frozen=True, slots=True)
class Track:
    """A video track, as its container describes it.

    Attributes:
        number: among the video tracks of its container, from 1.
        codec: FFmpeg's name of its coding; empty where this build cannot decode it.
        width: pixels, as stored.
        height: pixels, as stored.
    """

    number: int
    codec: str
    width: int
    height: int

    def __str__(self) -> str:
        return f"track {self.number} ({self.codec or 'unknown coding'}, {self.width}×{self.height})"


def tracks_of(container: InputContainer) -> list[Track]:
    """List the video tracks of a container in its own order."""
    found = []
    for number, stream in enumerate(container.streams.video, 1):
        context = stream.codec_context
        found.append(Track(number, context.name, context.width, context.height) if context else Track(number, "", 0, 0))
    return found


def first_packets(container: InputContainer) -> PacketTimes:
    """Read the first packets of a container, which cannot be read from its beginning afterwards.

    Returns:
        By index of the stream: the times of its packets as they came, seconds; None for one without a time.
    """
    candidates = _candidates(container)
    found: PacketTimes = {stream.index: [] for stream in candidates}
    try:
        for read, packet in enumerate(container.demux(video=list(range(len(container.streams.video))))):
            times = found.get(packet.stream.index)
            if packet.size and times is not None:
                pts, base = packet.pts, packet.time_base
                times.append(None if pts is None or base is None else float(pts * base))
            numbers = [len(times) for times in found.values()]
            # One that has shown nothing by then may be a still picture, whose only packet comes late or never.
            if read > _MOST_PACKETS or not numbers or sum(numbers) >= _ENOUGH_PACKETS * len(numbers):
                break
    except FFmpegError:
        pass  # what was read until then has to do
    return found


def are_impossible(times: list[float | None]) -> bool:
    """Tell whether the times of a track's packets cannot be those of its pictures: they are too close together."""
    told = sorted(one for one in times if one is not None)
    if len(told) < _FEWEST_TIMES:
        return False
    return median(after - before for before, after in pairwise(told)) < 1 / FASTEST


def choose_track(
    container: InputContainer, packets: PacketTimes | None = None, wanted: int | None = None
) -> VideoStream:
    """Choose the track to decode: the largest picture of those that move; of equal ones the container's default.

    Args:
        container: freshly opened.
        packets: from `first_packets`, of another opening of the same source; None where it has no beginning.
        wanted: a track's number, from 1, instead of the choice.

    Raises:
        SourceRefused: no such track, or none that can be decoded. The message begins with no name.
    """
    videos = container.streams.video
    if wanted is not None:
        if not 1 <= wanted <= len(videos):
            there = ", ".join(map(str, tracks_of(container))) or "none"
            raise SourceRefused(f"has no video track {wanted}: there is {there}")
        chosen = videos[wanted - 1]
        if chosen.codec_context is None:
            raise SourceRefused(f"has a track {wanted} in a coding that this build cannot decode")
        return chosen
    candidates = _candidates(container)
    if not candidates:
        raise SourceRefused("holds no video, only still pictures" if videos else "holds no video")
    if packets:
        moving = [stream for stream in candidates if len(packets[stream.index]) > 1]
        candidates = moving or candidates
    return max(candidates, key=_preference)


def _candidates(container: InputContainer) -> list[VideoStream]:
    return [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & _STILL
    ]


def _preference(stream: VideoStream) -> tuple[int, bool, int]:
    context = stream.codec_context
    return context.width * context.height, bool(stream.disposition & Disposition.default), -stream.index
