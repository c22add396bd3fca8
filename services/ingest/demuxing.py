"""Streams from the network through PyAV: what FFmpeg may read there, and how much memory a picture may take."""

from __future__ import annotations

import ctypes
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
from av.error import FFmpegError

from services.ingest.sources import SourceClosed, SourceRefused
from services.kit.codec import MAX_PIXELS, Image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# FFmpeg's complaints hold addresses with passwords; what goes wrong is told in our own words.
av.logging.set_level(None)

_CODECS = "h264,hevc,mjpeg,mpeg4,vp8,vp9,libdav1d,av1,mpeg2video,mpeg1video"
_MOST_MEMORY = 200 * 1024 * 1024
"""Bytes that FFmpeg may ask for at once: a picture of 64 megapixels in BGR. Its buffers are smaller."""
OF_RTSP = {
    "format_whitelist": "rtsp",
    "protocol_whitelist": "rtsp,rtp,tcp",
    # Over UDP parts get lost, and the camera would choose who sends to us.
    "rtsp_transport": "tcp",
    "allowed_media_types": "video",
}
OF_HTTP = {
    "format_whitelist": "mpjpeg,mjpeg,hls,mpegts,h264,hevc,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,flv,avi",
    "protocol_whitelist": "none",  # it is handed what it reads, and opens nothing
    "http_persistent": "0",
    "http_multiple": "0",
}
IoOpen = Callable[[str, int, Any], object]
"""Opens what FFmpeg asks for by address; gets flags and options, too."""


class Demuxed:
    """The largest video of a stream, frame by frame. `close` may be called from another thread while one is awaited.

    Args:
        source: a door on loopback, or a file to read from.
        options: of FFmpeg, `OF_RTSP` or `OF_HTTP` and what is special to this source.
        open_timeout: seconds until the stream's form is known.
        read_timeout: seconds for each frame.
        form: of the stream, as FFmpeg calls it; it finds out by itself where nothing is said.
        io_open: opens what a file leads to.

    Raises:
        FFmpegError: it cannot be opened.
        SourceRefused: its pictures are too large.
    """

    def __init__(
        self,
        name: str,
        source: str | object,
        options: Mapping[str, str],
        *,
        open_timeout: float,
        read_timeout: float,
        form: str | None = None,
        io_open: IoOpen | None = None,
    ) -> None:
        _limit_memory()
        self._name = name
        self._read_timeout = read_timeout
        container: InputContainer = av.open(  # type: ignore[assignment]  # for reading is what is said by no mode
            source,
            format=form,
            io_open=io_open,
            # As `options` they also reach the decoders that FFmpeg opens to learn what a stream holds.
            options={**options, "codec_whitelist": _CODECS, "max_pixels": str(MAX_PIXELS), "max_streams": "32"},
            timeout=(open_timeout, read_timeout),
        )
        self._container: InputContainer | None = container
        self._busy = threading.Lock()
        self._closed = threading.Event()
        self._frames: deque[VideoFrame] = deque()
        self._frame: VideoFrame | None = None
        self._arrival = 0
        self._packet: tuple[int, int] | None = None
        self._packets: Iterator[Packet[Stream]] = self._demux(container)
        try:
            self._stream = _choose(container)
            self._refuse_giants()
        except BaseException:
            self.close()
            raise

    @property
    def fps(self) -> float:
        """Frames per second that the stream announces; 0 where it says nothing."""
        rate = self._stream.average_rate or self._stream.base_rate
        return float(rate) if rate else 0.0

    @property
    def unstamped(self) -> bool:
        """Tell whether the stream is motion JPEG, which does not say when its pictures were taken."""
        return self._container is not None and self._container.format.name in ("mpjpeg", "mjpeg")

    @property
    def arrival(self) -> int:
        """When the frame that was grabbed had come, before it was decoded: nanoseconds of `time.monotonic_ns`."""
        return self._arrival

    @property
    def packet(self) -> tuple[int, int] | None:
        """Where the frame that was grabbed lies in its source: its first byte, and how many; None where unknown."""
        return self._packet

    @property
    def closed(self) -> bool:
        """Tell whether `close` was called."""
        return self._closed.is_set()

    def stop_if_closed(self) -> None:
        """Tell a failed read of a source that was closed from one of a source that broke.

        Raises:
            SourceClosed: `close` was called.
        """
        if self.closed:
            raise SourceClosed("the source was closed")

    def grab(self) -> bool:
        """Go to the next frame: False at the end, on an error or time-out, or once closed.

        Raises:
            SourceRefused: pictures became too large.
        """
        with self._busy:
            self._frame = None
            done = not self.closed and self._next()
        if self.closed:
            self.close()
            return False
        return done

    def retrieve(self) -> Image | None:
        """The picture of the frame that was grabbed: None where it cannot be converted."""
        with self._busy:
            frame = None if self.closed else self._frame
            image = None
            if frame is not None:
                with suppress(FFmpegError, ValueError, MemoryError):
                    image = _upright(frame)
        if self.closed:
            self.close()
        return image

    def close(self) -> None:
        """Free the stream, or leave that to the read that is under way."""
        self._closed.set()
        if self._busy.acquire(blocking=False):
            try:
                container, self._container = self._container, None
                # They hold the decoder and its pictures, and the generator holds this object: all would stay for long.
                self._packets, self._frame = iter(()), None
                self._frames.clear()
                if container is not None:
                    container.close()
            finally:
                self._busy.release()

    def _next(self) -> bool:
        deadline = time.monotonic() + self._read_timeout
        while not self._frames:
            packet = next(self._packets, None)
            self._arrival = time.monotonic_ns()
            # A stream that sends sound alone, or pictures that cannot be decoded, sends no pictures.
            if packet is None or self.closed or time.monotonic() > deadline:
                return False
            if packet.stream.index != self._stream.index:
                continue
            self._packet = None if packet.pos is None else (packet.pos, packet.size)
            try:
                self._frames.extend(cast("list[VideoFrame]", packet.decode()))
            except (FFmpegError, MemoryError):
                self._refuse_giants()
        self._frame = self._frames.popleft()
        return True

    def _demux(self, container: InputContainer) -> Iterator[Packet[Stream]]:
        with suppress(FFmpegError):
            yield from container.demux()

    def _refuse_giants(self) -> None:
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width * height > MAX_PIXELS:
            raise SourceRefused(
                f"{self._name} sends pictures of {width}×{height} pixels: more than the {MAX_PIXELS // 1_000_000} "
                "megapixels that are read; set the camera to a smaller picture"
            )


def largest_picture(path: Path, limits: Mapping[str, str]) -> tuple[int, int]:
    """Width and height of the largest pictures that a file says it has; (0, 0) where it cannot be read.

    Args:
        path: of the file; it is opened, and nothing that it may name.
        limits: of FFmpeg.
    """
    _limit_memory()
    try:
        with av.open(str(path), options=dict(limits)) as container:
            videos = [stream.codec_context for stream in container.streams.video if stream.codec_context is not None]
            sizes = [(context.width, context.height) for context in videos]
    except (FFmpegError, MemoryError):
        return 0, 0
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


def _choose(container: InputContainer) -> VideoStream:
    """The video with the largest picture, ready to be decoded by one thread: more decode ahead, a frame of delay each.

    Raises:
        SourceRefused: there is none in a form that is read.
    """
    videos = [stream for stream in container.streams.video if stream.codec_context is not None]
    if not videos:
        raise SourceRefused("no video")
    chosen = max(videos, key=lambda stream: stream.codec_context.width * stream.codec_context.height)
    context = chosen.codec_context
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS), "codec_whitelist": _CODECS}
    return chosen


def _upright(frame: VideoFrame) -> Image:
    image = cast("Image", frame.to_ndarray(format="bgr24"))
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


@cache
def _limit_memory() -> None:
    """Bound what FFmpeg may allocate at once. PyAV has no call for it: the library that it brought is told directly."""
    with suppress(OSError, AttributeError):
        maps = Path("/proc/self/maps").read_text()
        for path in set(re.findall(r"\S*/av\.libs/libavutil\S*", maps)):
            ctypes.CDLL(path).av_max_alloc(ctypes.c_size_t(_MOST_MEMORY))
