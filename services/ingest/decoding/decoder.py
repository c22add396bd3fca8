"""One video track of a container, decoded frame by frame."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
from av.error import FFmpegError

from services.ingest.decimator import SECOND
from services.ingest.decoding.completeness import Extent, announced_seconds
from services.ingest.decoding.hardware import accelerator
from services.ingest.decoding.limits import limit_memory
from services.ingest.decoding.picture import Converter, Deinterlacer
from services.ingest.decoding.timestamps import TimeBase
from services.ingest.decoding.track import FASTEST, PacketTimes, are_impossible, choose_track, tracks_of
from services.ingest.source import SourceClosed, SourceRefused
from services.kit.codec import MAX_PIXELS, Image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# FFmpeg's log repeats addresses with their passwords. Errors are reported in words of ingest's own.
av.logging.set_level(None)

_GAPS = 4.0
"""A recording whose average rate is so many times smaller than its coding's has gaps."""
IoOpen = Callable[[str, int, Any], object]
"""Opens an address for FFmpeg; called with the address, flags and options."""


class Decoder:
    """Decodes the video of a container frame by frame. `close` may be called from another thread during a read.

    Args:
        name: of the source, for display.
        source: a path, a relay's address on loopback, or a file object.
        options: of FFmpeg, from `limits`.
        timeout: seconds until the stream's format is known, and for each frame; None for a file, which is not waited
            for.
        container_format: FFmpeg's name of the format; FFmpeg detects it where it is None.
        io_open: opens the addresses that a playlist refers to.
        track: the number of the video track to read, from 1; None chooses the main one.
        packets: the times of the first packets, from `track.first_packets`, where the source can be read twice.
        damage_tolerated: unreadable packets in a row that are skipped; at one more, the stream ends.

    Attributes:
        track: the number of the track that is read, from 1, among the video tracks.
        tracks: all video tracks of the container, in its order.
        fps: frames per second that the stream announces, by its times or its coding; 0 where it announces nothing.
        times_are_broken: True where the stream's times are impossible: by them it is faster than any camera.
        interlaced: True where an interlaced frame was decoded so far.
        extent: the part of the video that was read so far.
        time: of the grabbed frame in the stream, ns; None where the stream gives none.
        arrival: time of arrival of the grabbed frame, before it was decoded: nanoseconds of `time.monotonic_ns`.
        packet: position in the source and size of the grabbed frame, bytes; None where unknown.

    Raises:
        FFmpegError: it cannot be opened.
        SourceRefused: its pictures are too large, or it has no such track.
    """

    def __init__(
        self,
        name: str,
        source: str | object,
        options: Mapping[str, str],
        *,
        timeout: tuple[float, float] | None = None,
        container_format: str | None = None,
        io_open: IoOpen | None = None,
        track: int | None = None,
        packets: PacketTimes | None = None,
        damage_tolerated: int = 0,
    ) -> None:
        self._name = name
        self._read_timeout = math.inf if timeout is None else timeout[1]
        self._damage_tolerated = damage_tolerated
        self._codecs = {name: value for name, value in options.items() if name == "codec_whitelist"}
        container = open_container(source, options, container_format=container_format, io_open=io_open, timeout=timeout)
        self._container: InputContainer | None = container
        self._busy = threading.Lock()
        self._closed = threading.Event()
        self._frames: deque[VideoFrame] = deque()
        self._frame: VideoFrame | None = None
        self.time: int | None = None
        self.arrival = 0
        self.packet: tuple[int, int] | None = None
        self.interlaced = False
        self._deinterlacer: Deinterlacer | None = None
        self._converter = Converter()
        self._packets: Iterator[Packet[Stream]] = iter(())
        try:
            self._stream = self._choose(container, packets, track)
            self.tracks = tracks_of(container)
            self.track = 1 + container.streams.video.index(self._stream)
            self.times_are_broken = packets is not None and are_impossible(packets.get(self._stream.index, []))
            self.fps = _rate(self._stream)
            self._interval = round(SECOND / self.fps) if self.fps else 0
            self._time_base = TimeBase(self._stream.time_base or Fraction(1, SECOND))
            self.extent = Extent(announced_seconds(container, self._stream))
            self._packets = self._demux(container)
            self._refuse_giants()
        except BaseException:
            self.close()
            raise

    @property
    def length(self) -> int | None:
        """The approximate number of frames by the container; None where the container does not say."""
        if self._stream.frames > 0:
            return self._stream.frames
        container = self._container
        if container is None or not container.duration or not self.fps or self.times_are_broken:
            return None
        return round(container.duration / 1_000_000 * self.fps)

    @property
    def format(self) -> str:
        """FFmpeg's name of the container's format; empty once closed."""
        return "" if self._container is None else self._container.format.name

    @property
    def by_hardware(self) -> bool:
        """Tell whether the machine's hardware decodes, instead of its processor."""
        return bool(self._stream.codec_context.is_hwaccel)

    @property
    def unstamped(self) -> bool:
        """Tell whether the stream is motion JPEG, which has no times."""
        return self.format in ("mpjpeg", "mjpeg")

    @property
    def closed(self) -> bool:
        """Tell whether `close` was called."""
        return self._closed.is_set()

    def stop_if_closed(self) -> None:
        """Raise where `close` was called: a read failed for that reason, and not because the source broke.

        Raises:
            SourceClosed: `close` was called.
        """
        if self.closed:
            raise SourceClosed("the source was closed")

    def grab(self) -> bool:
        """Go to the next frame; False at the end, on an error or time-out, or once closed.

        Raises:
            SourceRefused: the pictures became too large.
        """
        with self._busy:
            self._frame = None
            done = not self.closed and self._next()
        if self.closed:
            self.close()
            return False
        return done

    def retrieve(self) -> Image | None:
        """Convert the picture of the grabbed frame; None where that fails, or once closed.

        Returns:
            (height, width, 3) uint8, BGR, upright.
        """
        with self._busy:
            frame = None if self.closed else self._frame
            image = None
            if frame is not None:
                with suppress(FFmpegError, ValueError, MemoryError):
                    image = self._converter.picture(frame)
        if self.closed:
            self.close()
        return image

    def close(self) -> None:
        """Free the stream; a read that is under way frees it at its end."""
        self._closed.set()
        if self._busy.acquire(blocking=False):
            try:
                container, self._container = self._container, None
                # These hold the decoder and its pictures; the generator also holds this object: a cycle of long life.
                self._packets, self._frame, self._deinterlacer = iter(()), None, None
                self._frames.clear()
                if container is not None:
                    container.close()
            finally:
                self._busy.release()

    def _choose(self, container: InputContainer, packets: PacketTimes | None, track: int | None) -> VideoStream:
        """Choose the track, and prepare it for decoding by one thread.

        More threads would decode ahead, which delays by a frame each. With one thread, the pictures of a damaged stream
        depend on the stream alone, too.
        """
        try:
            chosen = choose_track(container, packets, track)
        except SourceRefused as error:
            raise SourceRefused(
                f"{self._name} {error}", code=error.code, **(error.params | {"source": self._name})
            ) from None
        context = chosen.codec_context
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_PIXELS), **self._codecs}
        return chosen

    def _next(self) -> bool:
        deadline = time.monotonic() + self._read_timeout
        while not self._frames:
            packet = self._read()
            self.arrival = time.monotonic_ns()
            # The time-out applies, too, to a stream that sends sound alone, or pictures that cannot be decoded.
            if self.closed or time.monotonic() > deadline:
                return False
            if packet is None:
                if self._deinterlacer is None:
                    return False
                self._frames.extend(self._deinterlacer.pass_through(None))
                self._deinterlacer = None
                continue
            if packet.stream.index != self._stream.index:
                continue
            self.packet = None if packet.pos is None else (packet.pos, packet.size)
            try:
                for frame in cast("list[VideoFrame]", packet.decode()):
                    self._frames.extend(self._deinterlaced(frame))
            except (FFmpegError, MemoryError):
                self.extent.damaged += 1
                self._refuse_giants()
        self._take(self._frames.popleft())
        return True

    def _take(self, frame: VideoFrame) -> None:
        self._frame = frame
        self.time = None if frame.pts is None else self._time_base.nanoseconds(frame.pts)
        self.extent.corrupt += frame.is_corrupt
        self.extent.add(self.time, self._time_base.nanoseconds(frame.duration) or self._interval)

    def _read(self) -> Packet[Stream] | None:
        """Read the next packet; None at the end."""
        for _ in range(1 + self._damage_tolerated):
            try:
                return next(self._packets, None)
            except FFmpegError:
                container = self._container
                if container is None or self.closed:
                    return None
                self.extent.damaged += 1
                self._packets = self._demux(container)  # the packets behind it may be intact
        return None

    def _demux(self, container: InputContainer) -> Iterator[Packet[Stream]]:
        """The packets of the track; of a live stream all packets, so that a stream of sound alone times out."""
        if math.isinf(self._read_timeout):
            return cast("Iterator[Packet[Stream]]", container.demux(self._stream))
        return container.demux()

    def _deinterlaced(self, frame: VideoFrame) -> list[VideoFrame]:
        """The frames that are ready once this one was decoded; from the first interlaced one on, bwdif delays them."""
        ready: list[VideoFrame] = []
        if self._deinterlacer is not None and not self._deinterlacer.suits(frame):
            ready = self._deinterlacer.pass_through(None)
            self._deinterlacer = None
        if self._deinterlacer is None:
            if not frame.interlaced_frame:
                return [*ready, frame]
            self.interlaced = True
            self._deinterlacer = Deinterlacer(frame)
        return [*ready, *self._deinterlacer.pass_through(frame)]

    def _refuse_giants(self) -> None:
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width * height > MAX_PIXELS:
            raise SourceRefused(
                f"{self._name} has pictures of {width}×{height} pixels: more than the {MAX_PIXELS // 1_000_000} "
                "megapixels that are read; make them smaller, a camera's in its own settings",
                code="pictures-too-large",
                source=self._name,
                width=width,
                height=height,
                megapixels=MAX_PIXELS // 1000000,
            )


def open_container(
    source: str | object,
    options: Mapping[str, str],
    *,
    container_format: str | None = None,
    io_open: IoOpen | None = None,
    timeout: tuple[float, float] | None = None,
) -> InputContainer:
    """Open a container within the given limits of FFmpeg, and the limit of its memory. Arguments are as of Decoder.

    Raises:
        FFmpegError: it cannot be opened.
    """
    limit_memory()
    container: InputContainer = av.open(  # type: ignore[assignment]  # without a mode it is opened for reading
        source,
        format=container_format,
        io_open=io_open,
        # As `options` they also reach the decoders that FFmpeg opens to learn what a stream holds.
        options={**options, "max_pixels": str(MAX_PIXELS), "max_streams": "32"},
        timeout=timeout,
        hwaccel=accelerator(),
    )
    return container


def _rate(stream: VideoStream) -> float:
    """Frames per second: by the times where they are sound, else by the coding; 0 where neither is known."""
    average, coded = (
        float(rate) if rate and 0 < rate <= FASTEST else 0.0 for rate in (stream.average_rate, stream.guessed_rate)
    )
    # Hours without a frame make the average small; of a stream without times, the average is an assumption of FFmpeg's.
    return coded if average < coded / _GAPS or (coded and stream.start_time is None) else average
