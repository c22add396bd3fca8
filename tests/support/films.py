"""Videos of the kinds that recorders and phones write, made on the spot with PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.filter import Graph
from av.video.frame import PictureType, VideoFrame

from services.kit.codec import Image
from tests.support.encoding import apart

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.filter import FilterContext
    from av.video.stream import VideoStream

DV_SIZE = (720, 576)


def moving_box(number: int, size: tuple[int, int] = (320, 240)) -> Image:
    """A white box on grey that goes 6 pixels to the right with each picture."""
    width, height = size
    picture = np.full((height, width, 3), 60, np.uint8)
    x = 6 * number % (width - 60)
    picture[height // 4 : 3 * height // 4, x : x + 40] = 230
    return picture


@apart
def write(
    path: Path,
    pictures: Iterable[Image],
    codec: str,
    *,
    fps: int = 10,
    form: str | None = None,
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    container: dict[str, str] | None = None,
) -> Path:
    """A video of pictures of one size.

    Args:
        path: of the file.
        pictures: BGR.
        codec: FFmpeg's encoder.
        fps: pictures a second.
        form: FFmpeg's container; by the path's ending where nothing is said.
        pixels: FFmpeg's name of how pictures are stored.
        options: of the encoder.
        times: of each picture in thousandths of a second, in place of its number and `fps`.
        container: options of it.
    """
    frames = (VideoFrame.from_ndarray(picture, format="bgr24") for picture in pictures)
    with closing(av.open(str(path), "w", format=form, options=container or {})) as written:
        _encode(written, frames, codec, fps, pixels, options or {}, times)
    return path


@apart
def write_interlaced(
    path: Path,
    pictures: Iterable[Image],
    codec: str,
    *,
    fps: int = 25,
    bottom_first: bool = False,
    marked: str = "",
) -> Path:
    """A video whose frames are made of two of the pictures each: its lines come from either in turns.

    Args:
        path: of the file.
        pictures: BGR; equal ones in pairs make it progressive.
        codec: FFmpeg's encoder.
        fps: frames a second.
        bottom_first: whether the lower line of each two is from the earlier picture.
        marked: what the file says of it, "tff", "bff" or "prog"; the truth where nothing is said.
    """
    marked = marked or ("bff" if bottom_first else "tff")
    frames = _woven(pictures, bottom_first=bottom_first, marked=marked)
    options = {
        "mpeg2video": {"flags": "+ilme+ildct"},
        "libx264": {"x264-params": f"{marked}=1"},
        "dvvideo": {"flags": "+ildct"},
    }[codec]
    if marked == "prog":
        options = {}
    with closing(av.open(str(path), "w")) as container:
        _encode(container, frames, codec, fps, "yuv420p", options, None)
    return path


@apart
def write_tracks(path: Path, tracks: Sequence[tuple[str, Sequence[Image]]], *, fps: int = 10) -> Path:
    """A video of several video tracks, each an encoder and its pictures. The first one is the container's default."""
    with closing(av.open(str(path), "w")) as container:
        opened = []
        for codec, pictures in tracks:
            height, width = pictures[0].shape[:2]
            stream = cast("VideoStream", container.add_stream(codec, rate=fps))
            stream.width, stream.height = width, height
            stream.codec_context.thread_count = 1
            stream.pix_fmt = {"mjpeg": "yuvj420p", "png": "rgb24"}.get(codec, "yuv420p")
            opened.append((stream, pictures))
        for number in range(max(len(pictures) for _, pictures in opened)):
            for stream, pictures in opened:
                if number < len(pictures):
                    frame = VideoFrame.from_ndarray(pictures[number], format="bgr24")
                    frame.pts, frame.time_base = number, Fraction(1, fps)
                    container.mux(stream.encode(frame))
        for stream, _ in opened:
            container.mux(stream.encode(None))
    return path


def index_first(path: Path, to: Path) -> Path:
    """The same mp4 with its index before its pictures, as it is made to be streamed."""
    with (
        closing(av.open(str(path))) as source,
        closing(av.open(str(to), "w", options={"movflags": "+faststart"})) as sink,
    ):
        video = source.streams.video[0]
        out = sink.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.size:
                packet.stream = out
                sink.mux(packet)
    return to


def shift_times(path: Path, to: Path, seconds: int) -> Path:
    """The same MPEG-TS with a clock that shows so many seconds more."""
    with closing(av.open(str(path))) as source, closing(av.open(str(to), "w", format="mpegts")) as sink:
        video = source.streams.video[0]
        out = sink.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.size and packet.pts is not None and packet.dts is not None and packet.time_base is not None:
                ticks = round(seconds / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts + ticks, packet.dts + ticks, out
                sink.mux(packet)
    return to


def _encode(
    container: OutputContainer,
    frames: Iterable[VideoFrame],
    codec: str,
    fps: int,
    pixels: str,
    options: dict[str, str],
    times: Sequence[int] | None,
) -> None:
    stream: VideoStream | None = None
    base = Fraction(1, fps) if times is None else Fraction(1, 1000)
    for number, frame in enumerate(frames):
        if stream is None:
            stream = cast("VideoStream", container.add_stream(codec, rate=fps, options=options))
            stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixels
            stream.codec_context.time_base = base
            # One slice a frame: GStreamer's payloader puts parameters before each, which tears the frame.
            stream.codec_context.thread_count = 1
        frame.pts, frame.time_base = number if times is None else times[number], base
        frame.pict_type = PictureType.NONE
        container.mux(stream.encode(frame))
    assert stream is not None
    container.mux(stream.encode(None))


def _woven(pictures: Iterable[Image], *, bottom_first: bool, marked: str) -> Iterable[VideoFrame]:
    fields = iter(pictures)
    marks = Graph()
    entry: FilterContext | None = None
    for number, (first, second) in enumerate(zip(fields, fields, strict=True)):
        woven = first.copy()
        odd = 0 if bottom_first else 1  # where the lines of the second field begin
        woven[odd::2] = second[odd::2]
        frame = VideoFrame.from_ndarray(woven, format="bgr24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        if entry is None:
            entry = marks.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
            )
            mark = marks.add("setfield", marked)
            end = marks.add("buffersink")
            entry.link_to(mark)
            mark.link_to(end)
            marks.configure()
        marks.push(frame)
        yield cast("VideoFrame", marks.pull())
