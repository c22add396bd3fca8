"""Annotated video of a count: boxes with track numbers, lines with their IN sides, regions, running totals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts.area import DetectionArea, Polygon
from contracts.events import TrackBox
from contracts.identity import Direction
from contracts.spec import CameraSpec, CountingLine, Side
from services.cli.console.errors import CommandError
from services.cli.counting.pipeline import CountedFrame
from services.cli.counting.video_writer import VideoWriter
from services.kit.codec import Image, decode

Colour = tuple[int, int, int]
Pixel = tuple[int, int]

IN_COLOUR: Colour = (96, 200, 64)
OUT_COLOUR: Colour = (64, 120, 240)
_LINE: Colour = (0, 215, 255)
_WHITE: Colour = (255, 255, 255)
_FLASH_NS = 600_000_000
_SHADE = 0.45
"""Remaining brightness of parts without detection."""
_BORDER: Colour = (190, 190, 190)
_TRACK_COLOURS: tuple[Colour, ...] = (
    (255, 160, 80), (120, 220, 120), (220, 120, 220), (90, 190, 250), (230, 220, 110), (140, 140, 255),
)  # fmt: skip


class AnnotatedVideo:
    """Writes an H.264 mp4 in which each frame has the source's time. A context manager that closes the file.

    The file is written in fragments, and plays up to the last of them however the command ends.

    Attributes:
        failure: the error after which writing stopped, such as a full disk; None while there is none.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float, spec: CameraSpec, *, start: int) -> None:
        """Open the file.

        Args:
            path: of the video; must end in .mp4.
            size: width and height of the published frames, pixels.
            fps: approximate frames per second; each frame keeps its own time.
            spec: the camera's, with its lines and its region filter.
            start: captured_at of the source's first instant, ns UTC.

        Raises:
            CommandError: the file cannot be written.
        """
        if path.suffix.lower() != ".mp4":
            raise CommandError(f"--annotate {path}: the video is an .mp4; give it a name that ends so")
        self.failure: CommandError | None = None
        self._path = path
        self._writer = VideoWriter(path, size, fps)
        self._lines, self._area = spec.lines, spec.detection
        self._light = _light(spec.detection, size)
        self._start, self._at = start, 0
        self._flashes: dict[str, tuple[int, Colour]] = {}
        self._totals = {Direction.IN: 0, Direction.OUT: 0}

    def write(self, counted: CountedFrame) -> None:
        """Add a frame. Skips the session's end, which has no picture, and all frames after a failure."""
        if self.failure is not None:
            return
        header = counted.frame.header
        self._at = header.captured_at
        for crossing in counted.step.crossings:
            self._totals[crossing.direction] += 1
            colour = IN_COLOUR if crossing.direction is Direction.IN else OUT_COLOUR
            self._flashes[crossing.line] = (self._at + _FLASH_NS, colour)
        if header.end is not None:
            return
        picture = decode(counted.frame.jpeg)
        self._draw_area(picture)
        for line in self._lines:
            self._draw_line(picture, line)
        for track in counted.step.tracks.tracks:
            _draw_track(picture, track)
        self._draw_totals(picture)
        with self._failing():
            self._writer.add(picture, self._at - self._start)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = self.failure or CommandError(
                f"--annotate {self._path}: {error.strerror}: the video ends early, the count does not; make "
                "room, or name another place, and count again"
            )

    def _draw_area(self, picture: Image) -> None:
        """Darken the parts without detection."""
        if self._light is None:
            return
        picture[:] = (picture * self._light).astype(np.uint8)
        for polygon in (*self._area.regions, *self._area.ignore):
            cv2.polylines(
                picture, [_corners(polygon, picture.shape[1], picture.shape[0])], True, _BORDER, 1, cv2.LINE_AA
            )

    def _draw_line(self, picture: Image, line: CountingLine) -> None:
        height, width = picture.shape[:2]
        a, b = np.array((line.x1 * width, line.y1 * height)), np.array((line.x2 * width, line.y2 * height))
        until, flash = self._flashes.get(line.id, (0, _LINE))
        flashes = self._at < until
        cv2.line(picture, _pixel(a), _pixel(b), flash if flashes else _LINE, 4 if flashes else 2, cv2.LINE_AA)
        # With y down, the right hand of a person walking along (dx, dy) points along (-dy, dx).
        dx, dy = (b - a) / np.hypot(*(b - a))
        to_in = np.array((-dy, dx)) * (1 if line.in_side is Side.RIGHT else -1)
        middle = (a + b) / 2
        cv2.arrowedLine(picture, _pixel(middle), _pixel(middle + to_in * 34), IN_COLOUR, 2, cv2.LINE_AA, tipLength=0.35)
        _text(picture, f"IN {line.in_name}".strip(), _pixel(middle + to_in * 46 - (10, -6)), IN_COLOUR)
        if line.out_name:
            _text(picture, line.out_name, _pixel(middle - to_in * 46 - (10, -6)), OUT_COLOUR)
        if len(self._lines) > 1:
            _text(picture, line.id, _pixel(a + (b - a) * 0.1), _WHITE)

    def _draw_totals(self, picture: Image) -> None:
        words = f"IN {self._totals[Direction.IN]}   OUT {self._totals[Direction.OUT]}"
        (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 2)
        shade = picture[: height + 22, : width + 24]
        shade[:] = shade // 3
        _text(picture, words, (12, height + 11), _WHITE, scale=0.8)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._failing():
            self._writer.close()


def _light(area: DetectionArea, size: tuple[int, int]) -> NDArray[np.float32] | None:
    """Return the brightness factor of each pixel, (height, width, 1); None without a region filter."""
    if not area.regions and not area.ignore:
        return None
    width, height = size
    light = np.full((height, width), _SHADE if area.regions else 1.0, np.float32)
    for polygons, level in ((area.regions, 1.0), (area.ignore, _SHADE)):
        for polygon in polygons:
            cv2.fillPoly(light, [_corners(polygon, width, height)], level)
    return light[:, :, None]


def _corners(polygon: Polygon, width: int, height: int) -> NDArray[np.int32]:
    return np.round(np.array(polygon) * (width, height)).astype(np.int32)


def _draw_track(picture: Image, track: TrackBox) -> None:
    colour = _TRACK_COLOURS[track.track % len(_TRACK_COLOURS)]
    x1, y1, x2, y2 = (round(edge) for edge in track.box)
    cv2.rectangle(picture, (x1, y1), (x2, y2), colour, 2, cv2.LINE_AA)
    _text(picture, str(track.track), (x1 + 3, max(14, y1 - 5)), colour)


def _text(picture: Image, words: str, at: Pixel, colour: Colour, scale: float = 0.55) -> None:
    cv2.putText(picture, words, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 20), 4, cv2.LINE_AA)
    cv2.putText(picture, words, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 2, cv2.LINE_AA)


def _pixel(point: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Pixel:
    return round(float(point[0])), round(float(point[1]))
