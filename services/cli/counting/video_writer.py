"""An mp4 that is written picture by picture, each with its own time, and that stays playable if writing fails."""

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

from services.cli.console.errors import CommandError
from services.kit.codec import Image

_TICKS: Final = 1000
"""Ticks per second of the mp4's times. With more, an mp4 could not hold a pause of a day between two frames."""
_FRAGMENT_SECONDS: Final = 2.0
_CODEC: Final = {"preset": "veryfast", "crf": "23", "bf": "0"}
"""No B-frames: players would begin late by the time of reordering."""


class VideoWriter:
    """Writes an H.264 video in fragments of two seconds, each playable by itself; `close` completes the file.

    Args:
        path: of the file.
        size: width and height of the pictures, pixels. H.264 needs even ones: an odd column or row is cut off.
        fps: approximate pictures per second.

    Raises:
        CommandError: the file cannot be written.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self._width, self._height = (side - side % 2 for side in size)
        try:
            self._file = FileIO(path, "w+")
        except OSError as error:
            raise CommandError(f"--annotate {path}: cannot write there: {error.strerror}") from error
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
        """Write a picture with its time, nanoseconds since the video's beginning.

        Raises:
            OSError: it cannot be written; nor can later ones.
        """
        now = max(self._last + 1, round(at * _TICKS / 1_000_000_000))
        frame = VideoFrame.from_ndarray(picture[: self._height, : self._width], format="bgr24")
        frame.pts, frame.time_base = now, Fraction(1, _TICKS)
        frame.pict_type = PictureType.NONE
        # A fragment begins with a key frame.
        if self._last < 0 or now - self._whole_at >= self._fragment:
            frame.pict_type, self._whole_at = PictureType.I, now
        self._last = now
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write the rest, and close the file.

        Raises:
            OSError: the rest cannot be written; the fragments before stay playable.
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
    """The file that the muxer writes to. Refuses all writes after a failure: they would damage the fragments before."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all bytes.

        Raises:
            OSError: this write or an earlier one failed.
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
        """Set the position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def read(self, size: int) -> bytes:
        """Read bytes: the muxer rereads its own output."""
        return self._file.read(size)

    def cut(self) -> None:
        """Truncate the file behind its last complete fragment."""
        size, at, complete = os.fstat(self._file.fileno()).st_size, 0, 0
        while at + 8 <= size:
            self._file.seek(at)
            head = self._file.read(8)
            at += max(8, int.from_bytes(head[:4], "big"))
            if at <= size and head[4:] == b"mdat":
                complete = at
        self._file.truncate(complete)
