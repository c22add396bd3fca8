"""An mp4 that is written picture by picture, each with its own time, and that plays however the writing ends."""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from io import FileIO
from pathlib import Path
from typing import Final

import av
from av.error import FFmpegError
from av.video.frame import PictureType, VideoFrame

from services.cli.console.errors import Refused
from services.kit.codec import Image

_TICKS: Final = 1000
"""A second, in which times are written: an mp4 of finer ones cannot hold a pause of a day between two frames."""
_FRAGMENT_SECONDS: Final = 2.0
_CODEC: Final = {"preset": "veryfast", "crf": "23", "bf": "0"}
"""Pictures are not put out of order: players would begin with the time that takes."""


class Film:
    """An H.264 video. It is written in fragments of two seconds, which play by themselves, and made whole by `close`.

    Args:
        path: of the file.
        size: width and height of the pictures, pixels. H.264 takes even ones: an odd column or row is left out.
        fps: pictures a second, about.

    Raises:
        Refused: the file cannot be written.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self._width, self._height = (side - side % 2 for side in size)
        try:
            self._file = FileIO(path, "w+")
        except OSError as error:
            raise Refused(f"--annotate {path}: cannot write there: {error.strerror}") from error
        options = {"movflags": "+hybrid_fragmented", "video_track_timescale": str(_TICKS)}
        self._sink = _Sink(self._file)
        self._container = av.open(self._sink, "w", format="mp4", options=options)
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate=rate, options=dict(_CODEC))
        self._stream.width, self._stream.height, self._stream.pix_fmt = self._width, self._height, "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _TICKS)
        self._fragment = round(_FRAGMENT_SECONDS * _TICKS)
        self._last, self._whole_at = -1, 0

    def add(self, picture: Image, at: int) -> None:
        """Write a picture of a time, nanoseconds since the film's beginning.

        Raises:
            OSError: it cannot be written; the film is over.
        """
        now = max(self._last + 1, round(at * _TICKS / 1_000_000_000))
        frame = VideoFrame.from_ndarray(picture[: self._height, : self._width], format="bgr24")
        frame.pts, frame.time_base = now, Fraction(1, _TICKS)
        frame.pict_type = PictureType.NONE
        # A fragment begins with a picture that stands by itself.
        if self._last < 0 or now - self._whole_at >= self._fragment:
            frame.pict_type, self._whole_at = PictureType.I, now
        self._last = now
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write the rest, and close the file.

        Raises:
            OSError: that cannot be written; what was written before plays.
        """
        with self._file:
            try:
                if self._last >= 0 and self._sink.failure is None:
                    self._container.mux(self._stream.encode(None))
                self._container.close()
            except (OSError, FFmpegError):
                if self._sink.failure is None:
                    raise
            if self._sink.failure is not None:
                with suppress(FFmpegError):
                    self._container.close()
                self._sink.cut()
                raise self._sink.failure


class _Sink:
    """The file that the muxer writes to. After a failure it takes nothing more: that would spoil what is there."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of it.

        Raises:
            OSError: now, or before, there was no room, or no right to write.
        """
        if self.failure is not None:
            raise self.failure
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.failure = error
            raise
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Tell the present place."""
        return self._file.tell()

    def read(self, size: int) -> bytes:
        """Read on: the muxer looks at what it wrote."""
        return self._file.read(size)

    def cut(self) -> None:
        """Leave the whole fragments alone."""
        size, at, sound = os.fstat(self._file.fileno()).st_size, 0, 0
        while at + 8 <= size:
            self._file.seek(at)
            head = self._file.read(8)
            at += max(8, int.from_bytes(head[:4], "big"))
            if at <= size and head[4:] == b"mdat":
                sound = at
        self._file.truncate(sound)
