"""Video files: read frame by frame, each with the time that the file gives it."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import cv2

from contracts.address import host_only
from contracts.identity import Policy
from services.ingest.capture import FILE_LIMITS, Capture
from services.ingest.demuxing import largest_picture
from services.ingest.pacing import SECOND
from services.ingest.sources import SourceLost, SourceRefused
from services.kit.codec import MAX_PIXELS, Image

DAMAGE_TOLERATED = 250
"""Packets in a row that may fail to decode before what follows is given up as the end: 10 s at 25 fps."""
_FALLBACK_FPS = 25.0


class VideoFile:
    """A video file as a source of frames."""

    policy = Policy.EVERY

    def __init__(self, path: Path, capture: Capture) -> None:
        self._path, self._name = path, host_only(str(path))
        self._capture = capture
        fps = capture.get(cv2.CAP_PROP_FPS)
        self._fps = fps if 0 < fps <= 1000 else None
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._length = int(count) if 0 < count < 1e9 else None
        self._last_pts: int | None = None
        self._pending = True
        if not self._grab():
            capture.close()
            raise SourceRefused(
                f"{self._name} holds no frame that can be read: it is empty, cut off or in an unknown coding"
            )
        image = capture.retrieve()
        if image is None:
            capture.close()
            raise SourceRefused(f"{self._name}: its frames cannot be unpacked into 8-bit pictures")
        self._size = (image.shape[1], image.shape[0])

    @property
    def name(self) -> str:
        """The file's name."""
        return self._name

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first frame, pixels."""
        return self._size

    @property
    def fps(self) -> float | None:
        """Frames per second, as the file says."""
        return self._fps

    @property
    def length(self) -> int | None:
        """How many frames the file says it has."""
        return self._length

    def grab(self) -> int | None:
        """Go to the next frame: its time, or None at the end."""
        # The first frame was grabbed when the file was opened.
        if not self._pending and not self._grab():
            self._capture.stop_if_closed()
            return None
        self._pending = False
        self._last_pts = self._pts()
        return self._last_pts

    def retrieve(self) -> Image:
        """The picture of the frame that `grab` went to."""
        image = self._capture.retrieve()
        if image is None:
            self._capture.stop_if_closed()
            raise SourceLost(f"{self._name}: the frame at {(self._last_pts or 0) / SECOND:.2f} s cannot be unpacked")
        return image

    def content_sha256(self) -> str:
        """The sum of the file's bytes, as it was when first asked for."""
        return self._content_sha256

    @cached_property
    def _content_sha256(self) -> str:
        try:
            with self._path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise SourceRefused(f"{self._name} cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        self._capture.close()

    def _grab(self) -> bool:
        # A damaged packet makes OpenCV report the end; what follows may be sound. At the true end a try is cheap.
        return any(self._capture.grab() for _ in range(DAMAGE_TOLERATED) if not self._capture.closed)

    def _pts(self) -> int:
        """The frame's own time; where the file gives none, or one that goes back, a step after the one before."""
        pts = max(0, round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6))
        if self._last_pts is None or pts > self._last_pts:
            return pts
        return self._last_pts + round(SECOND / (self._fps or _FALLBACK_FPS))


def open_video(path: Path) -> VideoFile:
    """Open a video file.

    Raises:
        SourceRefused: no such file, no video, or no frame in it.
    """
    name = host_only(str(path))
    try:
        if path.is_dir():
            raise SourceRefused(f"{name} is a folder: give one video file in it")
        if not path.exists():
            raise SourceRefused(f"{name}: there is no such file")
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise SourceRefused(f"{name} cannot be read: {error.strerror}") from error
    if empty:
        raise SourceRefused(f"{name} is an empty file: it holds no video")
    # OpenCV unpacks pictures to find out how large they are.
    width, height = largest_picture(path.resolve(), FILE_LIMITS)
    if width * height > MAX_PIXELS:
        raise SourceRefused(
            f"{name} has pictures of {width}×{height} pixels: more than the {MAX_PIXELS // 1_000_000} megapixels "
            "that are read; make it smaller first"
        )
    # An absolute path is never taken for one of FFmpeg's protocols (`concat:…`). One thread: what a damaged file
    # decodes to then depends on the file alone, and the detector needs the other cores.
    capture = Capture(str(path.resolve()), cv2.CAP_FFMPEG, {cv2.CAP_PROP_N_THREADS: 1})
    if not capture.opened:
        raise SourceRefused(f"{name} is no video that can be read: FFmpeg does not know its format, or it is cut off")
    return VideoFile(path, capture)
