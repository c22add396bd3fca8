"""Choice of a container's main video track: never a cover, a still picture or a sub-stream."""

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
"""Frames per second; a stream that is faster by its times has broken times."""
_FEWEST_TIMES = 5
"""Packets with a time below which a track's times are not judged."""
_ENOUGH_PACKETS = 40
"""A track of at most one packet, where the others have this many on average, holds a still picture."""
_MOST_PACKETS = 5000
"""Packets that are read at most to find out."""
PacketTimes = dict[int, list[float | None]]
"""Times of packets, seconds, by index of the stream; None for a packet without a time."""


@dataclass(frozen=True, slots=True)
class Track:
    """A video track, as its container describes it.

    Attributes:
        number: among the video tracks of its container, from 1.
        codec: FFmpeg's name of its coding; empty where this build of FFmpeg cannot decode it.
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
    tracks = []
    for number, stream in enumerate(container.streams.video, 1):
        context = stream.codec_context
        tracks.append(
            Track(number, context.name, context.width, context.height) if context else Track(number, "", 0, 0)
        )
    return tracks


def first_packets(container: InputContainer) -> PacketTimes:
    """Read the first packets of a container, which cannot be read from its beginning afterwards.

    Returns:
        The packets' times in their order in the file.
    """
    candidates = _candidates(container)
    packets: PacketTimes = {stream.index: [] for stream in candidates}
    try:
        for read, packet in enumerate(container.demux(video=list(range(len(container.streams.video))))):
            times = packets.get(packet.stream.index)
            if packet.size and times is not None:
                pts, base = packet.pts, packet.time_base
                times.append(None if pts is None or base is None else float(pts * base))
            numbers = [len(times) for times in packets.values()]
            # A track without a packet by then may be a still picture, whose only packet comes late or never.
            if read > _MOST_PACKETS or not numbers or sum(numbers) >= _ENOUGH_PACKETS * len(numbers):
                break
    except FFmpegError:
        pass  # the packets that were read until then have to do
    return packets


def are_impossible(times: list[float | None]) -> bool:
    """Tell whether the times of a track's packets are too close together to be those of its pictures."""
    known = sorted(time for time in times if time is not None)
    if len(known) < _FEWEST_TIMES:
        return False
    return median(after - before for before, after in pairwise(known)) < 1 / FASTEST


def choose_track(
    container: InputContainer, packets: PacketTimes | None = None, number: int | None = None
) -> VideoStream:
    """Choose the track to decode: the largest picture among moving ones; among equal sizes the container's default.

    Args:
        container: freshly opened.
        packets: from `first_packets`, from another opening of the same source; None for a live one.
        number: of the track that the user asked for, from 1; None leaves the choice to this function.

    Raises:
        SourceRefused: no such track, or none that can be decoded. The source's name must be put before the message.
    """
    videos = container.streams.video
    if number is not None:
        if not 1 <= number <= len(videos):
            there = ", ".join(map(str, tracks_of(container))) or "none"
            raise SourceRefused(
                f"has no video track {number}: there is {there}", code="no-such-track", number=number, there=there
            )
        chosen = videos[number - 1]
        if chosen.codec_context is None:
            raise SourceRefused(
                f"has a track {number} in a coding that this build cannot decode",
                code="track-undecodable",
                number=number,
            )
        return chosen
    candidates = _candidates(container)
    if not candidates:
        raise SourceRefused("holds no video, only still pictures" if videos else "holds no video", code="no-video")
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
