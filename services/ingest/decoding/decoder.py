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
from services.ingest.decoding.completeness import Extent, said_seconds
from services.ingest.decoding.hardware import accelerator
from services.ingest.decoding.limits import limit_memory
from services.ingest.decoding.picture import Converter, Deinterlacer
from services.ingest.decoding.timestamps import TimeBase
from services.ingest.decoding.track import FASTEST, PacketTimes, Track, are_impossible, choose_track, tracks_of
from services.ingest.source import SourceClosed, SourceRefused
from services.kit.codec import MAX_PIXELS, Image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# FFmpeg's complaints hold addresses with passwords; what goes wrong is told in our own words.
av.logging.set_level(None)

_GAPS = 4.0
"""A rate so much smaller than what the coding says is that of a recording with gaps."""
IoOpen = Callable[[str, int, Any], object]
"""Opens what FFmpeg asks for by address; gets flags and options, too."""


class Decoder:
    """The video of a container, frame by frame. `close` may be called from another thread while one is awaited.

    Args:
        name: of the source, for people to read.
        source: a path, a door on loopback, or a file to read from.
        options: of FFmpeg, from `limits`.
        timeout: seconds until the stream's form is known, and for each frame; None for a file, which does not wait.
        form: of the stream, as FFmpeg calls it; it finds out by itself where nothing is said.
        io_open: opens what a file leads to.
        track: the number of a video track, from 1, instead of the one that is chosen.
        packets: the first ones, from `track.first_packets`, where the source can be read twice.
        damage_tolerated: packets in a row that may be unreadable before what follows is given up as the end.

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
        form: str | None = None,
        io_open: IoOpen | None = None,
        track: int | None = None,
        packets: PacketTimes | None = None,
        damage_tolerated: int = 0,
    ) -> None:
        self._name = name
        self._read_timeout = math.inf if timeout is None else timeout[1]
        self._damage_tolerated = damage_tolerated
        self._codecs = {name: value for name, value in options.items() if name == "codec_whitelist"}
        container = open_container(source, options, form=form, io_open=io_open, timeout=timeout)
        self._container: InputContainer | None = container
        self._busy = threading.Lock()
        self._closed = threading.Event()
        self._frames: deque[VideoFrame] = deque()
        self._frame: VideoFrame | None = None
        self._time: int | None = None
        self._arrival = 0
        self._packet: tuple[int, int] | None = None
        self._interlaced = False
        self._deinterlacer: Deinterlacer | None = None
        self._converter = Converter()
        self._packets: Iterator[Packet[Stream]] = iter(())
        try:
            self._stream = self._choose(container, packets, track)
            self._tracks = tracks_of(container)
            self._track = 1 + container.streams.video.index(self._stream)
            self._times_are_broken = packets is not None and are_impossible(packets.get(self._stream.index, []))
            self._rate = _rate(self._stream)
            self._interval = round(SECOND / self._rate) if self._rate else 0
            self._time_base = TimeBase(self._stream.time_base or Fraction(1, SECOND))
            self._extent = Extent(said_seconds(container, self._stream))
            self._packets = self._demux(container)
            self._refuse_giants()
        except BaseException:
            self.close()
            raise

    @property
    def track(self) -> int:
        """The number of the track that is read, from 1, among the video tracks."""
        return self._track

    @property
    def tracks(self) -> list[Track]:
        """The video tracks that there are, in the container's order."""
        return self._tracks

    @property
    def fps(self) -> float:
        """Frames per second that the stream announces, by its times or its coding; 0 where it says nothing."""
        return self._rate

    @property
    def times_are_broken(self) -> bool:
        """Tell whether the stream's times cannot be those of its frames: by them it is faster than any camera."""
        return self._times_are_broken

    @property
    def length(self) -> int | None:
        """About how many frames there are, as the container says; None where it does not say."""
        if self._stream.frames > 0:
            return self._stream.frames
        container = self._container
        if container is None or not container.duration or not self._rate or self.times_are_broken:
            return None
        return round(container.duration / 1_000_000 * self._rate)

    @property
    def form(self) -> str:
        """The container's format, as FFmpeg calls it; empty once closed."""
        return "" if self._container is None else self._container.format.name

    @property
    def by_hardware(self) -> bool:
        """Tell whether the machine's hardware decodes, and not its processor."""
        return bool(self._stream.codec_context.is_hwaccel)

    @property
    def interlaced(self) -> bool:
        """Tell whether an interlaced frame was met so far."""
        return self._interlaced

    @property
    def extent(self) -> Extent:
        """How much of the video was read so far."""
        return self._extent

    @property
    def unstamped(self) -> bool:
        """Tell whether the stream is motion JPEG, which does not say when its pictures were taken."""
        return self.form in ("mpjpeg", "mjpeg")

    @property
    def time(self) -> int | None:
        """Time of the frame that was grabbed, as the stream says, nanoseconds; None where it says nothing."""
        return self._time

    @property
    def arrival(self) -> int:
        """Moment at which the grabbed frame had come, before it was decoded: nanoseconds of `time.monotonic_ns`."""
        return self._arrival

    @property
    def packet(self) -> tuple[int, int] | None:
        """First byte in the source, and number of bytes, of the frame that was grabbed; None where unknown."""
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
                    image = self._converter.picture(frame)
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
                self._packets, self._frame, self._deinterlacer = iter(()), None, None
                self._frames.clear()
                if container is not None:
                    container.close()
            finally:
                self._busy.release()

    def _choose(self, container: InputContainer, packets: PacketTimes | None, track: int | None) -> VideoStream:
        """The track to decode, ready to be decoded by one thread: more decode ahead, a frame of delay each.

        What a damaged stream decodes to then depends on the stream alone, too.
        """
        try:
            chosen = choose_track(container, packets, track)
        except SourceRefused as error:
            raise SourceRefused(f"{self._name} {error}") from None
        context = chosen.codec_context
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_PIXELS), **self._codecs}
        return chosen

    def _next(self) -> bool:
        deadline = time.monotonic() + self._read_timeout
        while not self._frames:
            packet = self._read()
            self._arrival = time.monotonic_ns()
            # A stream that sends sound alone, or pictures that cannot be decoded, sends no pictures.
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
            self._packet = None if packet.pos is None else (packet.pos, packet.size)
            try:
                for frame in cast("list[VideoFrame]", packet.decode()):
                    self._frames.extend(self._whole(frame))
            except (FFmpegError, MemoryError):
                self._extent.damaged += 1
                self._refuse_giants()
        self._show(self._frames.popleft())
        return True

    def _show(self, frame: VideoFrame) -> None:
        self._frame = frame
        self._time = None if frame.pts is None else self._time_base.nanoseconds(frame.pts)
        self._extent.spoilt += frame.is_corrupt
        self._extent.add(self._time, self._time_base.nanoseconds(frame.duration) or self._interval)

    def _read(self) -> Packet[Stream] | None:
        """The next packet; None at the end."""
        for _ in range(1 + self._damage_tolerated):
            try:
                return next(self._packets, None)
            except FFmpegError:
                container = self._container
                if container is None or self.closed:
                    return None
                self._extent.damaged += 1
                self._packets = self._demux(container)  # what follows may be sound
        return None

    def _demux(self, container: InputContainer) -> Iterator[Packet[Stream]]:
        """The packets of the track; of a live stream, all: one that goes on with sound alone must be noticed."""
        if math.isinf(self._read_timeout):
            return cast("Iterator[Packet[Stream]]", container.demux(self._stream))
        return container.demux()

    def _whole(self, frame: VideoFrame) -> list[VideoFrame]:
        """The frames that are ready once this one was decoded: it, unless it is made of two fields."""
        ready: list[VideoFrame] = []
        if self._deinterlacer is not None and not self._deinterlacer.suits(frame):
            ready = self._deinterlacer.pass_through(None)
            self._deinterlacer = None
        if self._deinterlacer is None:
            if not frame.interlaced_frame:
                return [*ready, frame]
            self._interlaced = True
            self._deinterlacer = Deinterlacer(frame)
        return [*ready, *self._deinterlacer.pass_through(frame)]

    def _refuse_giants(self) -> None:
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width * height > MAX_PIXELS:
            raise SourceRefused(
                f"{self._name} has pictures of {width}×{height} pixels: more than the {MAX_PIXELS // 1_000_000} "
                "megapixels that are read; make them smaller, a camera's in its own settings"
            )


def open_container(
    source: str | object,
    options: Mapping[str, str],
    *,
    form: str | None = None,
    io_open: IoOpen | None = None,
    timeout: tuple[float, float] | None = None,
) -> InputContainer:
    """Open a container within the limits of its kind and of memory.

    Raises:
        FFmpegError: it cannot be opened.
    """
    limit_memory()
    container: InputContainer = av.open(  # type: ignore[assignment]  # for reading is what is said by no mode
        source,
        format=form,
        io_open=io_open,
        # As `options` they also reach the decoders that FFmpeg opens to learn what a stream holds.
        options={**options, "max_pixels": str(MAX_PIXELS), "max_streams": "32"},
        timeout=timeout,
        hwaccel=accelerator(),
    )
    return container


def _rate(stream: VideoStream) -> float:
    """Frames per second: by the times where they are sound, else by what the coding says; 0 where neither is known."""
    average, said = (
        float(rate) if rate and 0 < rate <= FASTEST else 0.0 for rate in (stream.average_rate, stream.guessed_rate)
    )
    # Hours without a frame make the average small; where there are no times it is an assumption of FFmpeg's.
    return said if average < said / _GAPS or (said and stream.start_time is None) else average
