"""Facts about a video file: container, coding, size, rate, dynamic range, fields and tracks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from av.error import FFmpegError

from services.ingest.decoding.decoder import open_container
from services.ingest.decoding.fields import Judgement, judge
from services.ingest.decoding.limits import FILE_OPTIONS
from services.ingest.decoding.picture import HLG, PQ
from services.ingest.decoding.track import Track, tracks_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_MOST_FRAMES: Final = 1500
"""Most frames that are decoded to judge their fields: a minute at 25 a second."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about a video file.

    Attributes:
        container: FFmpeg's name of its format.
        coding: FFmpeg's name of the coding of the track that is read.
        width: pixels, as stored.
        height: pixels, as stored.
        rate: frames per second; 0 where the file does not say.
        light: dynamic range: `SDR`, `HDR (PQ)` or `HDR (HLG)`.
        fields: of its pictures; None where no picture could be decoded.
        track: the number of the track that is read, from 1.
        tracks: all video tracks.
    """

    container: str
    coding: str
    width: int
    height: int
    rate: float
    light: str
    fields: Judgement | None
    track: int
    tracks: tuple[Track, ...]

    def __str__(self) -> str:
        rate = f"{self.rate:.4g} frames a second" if self.rate else "no frame rate"
        fields = [] if self.fields is None else [str(self.fields.marked)]
        others = [str(track) for track in self.tracks if track.number != self.track]
        tracks = [f"track {self.track} of {len(self.tracks)}, not {', '.join(others)}"] if others else []
        size = f"{self.width}×{self.height}"
        return ", ".join([f"{self.coding} in {self.container}", size, rate, *fields, self.light, *tracks])


def facts_of(path: Path, track: int, rate: float, *, begin: float = 0.0) -> Facts:
    """Collect the facts about a file.

    Args:
        path: of a file that can be read.
        track: the number of the track that is read, from 1.
        rate: frames per second at which it is read.
        begin: seconds to skip before its fields are judged.

    Raises:
        FFmpegError: it cannot be opened.
    """
    with open_container(str(path.resolve()), FILE_OPTIONS) as container:
        stream = container.streams.video[track - 1]
        context = stream.codec_context
        fields = judge(islice(_decoded(container, stream, begin), _MOST_FRAMES))
        light = {PQ: "HDR (PQ)", HLG: "HDR (HLG)"}.get(int(context.color_trc), "SDR")
        return Facts(
            container=container.format.name.split(",")[0],
            coding=context.name,
            width=context.width,
            height=context.height,
            rate=rate,
            light=light,
            fields=fields,
            track=track,
            tracks=tuple(tracks_of(container)),
        )


def _decoded(container: InputContainer, stream: VideoStream, begin: float) -> Iterator[VideoFrame]:
    stream.codec_context.thread_count = 1
    if begin:
        with suppress(FFmpegError):
            container.seek(round(begin * 1_000_000) + (container.start_time or 0))
    with suppress(FFmpegError):
        for packet in container.demux(stream):
            with suppress(FFmpegError):
                yield from packet.decode()
