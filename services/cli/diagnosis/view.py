"""Statistics of the camera's picture: light, contrast, frozen pictures and motion of the camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from services.kit.codec import Image

Grey = NDArray[np.uint8]

WIDTH: Final = 240
"""Width in pixels to which a frame is shrunk, to remove noise and keep light and motion."""
STILL: Final = 1
"""Grey levels: a frame in which no pixel differs more from the one before is the same picture."""
KEPT: Final = 25
"""Number of frames that are kept to compute the empty scene."""
_CORNERS: Final = 120
_ENOUGH: Final = 12
"""Least number of matched corners to estimate the camera's motion from."""
_REFERENCE_SECONDS: Final = 1.0
_Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ViewFigures:
    """Statistics of a clip. Grey levels are 0 to 255, shifts are fractions of the picture's width.

    Attributes:
        frames: number of frames.
        brightness: median over the frames of the mean grey level.
        highlights: median of the 95th percentile of the grey levels.
        contrast: median of the range between the 5th and 95th percentile.
        still_seconds: longest time without any change of the picture.
        jolts: share of the frames in which the whole picture jumped by more than 0.4 % of its width.
        moved: shift of the picture at the end, relative to the beginning.
    """

    frames: int
    brightness: float
    highlights: float
    contrast: float
    still_seconds: float
    jolts: float
    moved: float


class ViewMeter:
    """Measures a view, frame by frame."""

    JOLT: Final = 0.004

    def __init__(self) -> None:
        self._light: list[tuple[float, float, float]] = []
        self._shifts: list[float] = []
        self._displaced: list[float] = []
        self._before: Grey | None = None
        self._reference: Grey | None = None
        self._referred_at = 0.0
        self._changed_at = 0.0
        self._still = 0.0
        self._kept: list[Image] = []
        self._every = 1

    def add(self, picture: Image, at: float) -> None:
        """Add a frame with its time in seconds."""
        grey = _shrunk(picture)
        low, high = np.percentile(grey, (5, 95))
        self._light.append((float(grey.mean()), float(high), float(high - low)))
        if self._before is None or self._reference is None:
            self._reference, self._changed_at = grey, at
        else:
            if int(cv2.absdiff(grey, self._before).max()) > STILL:
                self._changed_at = at
            self._still = max(self._still, at - self._changed_at)
            shift = _shift(self._before, grey)
            self._shifts.append(0.0 if shift is None else shift / grey.shape[1])
            if at - self._referred_at >= _REFERENCE_SECONDS:
                self._referred_at = at
                displaced = _shift(self._reference, grey)
                if displaced is not None:
                    self._displaced.append(displaced / grey.shape[1])
        self._before = grey
        self._keep(picture)

    def _keep(self, picture: Image) -> None:
        """Keep a bounded number of pictures, spread evenly over the whole time."""
        if (len(self._light) - 1) % self._every == 0:
            self._kept.append(picture)
        if len(self._kept) == 2 * KEPT:
            self._kept, self._every = self._kept[::2], self._every * 2

    def view(self) -> ViewFigures:
        """Return the statistics.

        Raises:
            ValueError: no frame was added.
        """
        if not self._light:
            raise ValueError("no frame was added")
        brightness, highlights, contrast = np.median(np.array(self._light), axis=0).tolist()
        last = self._displaced[-max(1, len(self._displaced) // 5) :]
        return ViewFigures(
            frames=len(self._light),
            brightness=brightness,
            highlights=highlights,
            contrast=contrast,
            still_seconds=self._still,
            jolts=float(np.mean(np.array(self._shifts) > self.JOLT)) if self._shifts else 0.0,
            moved=float(np.median(last)) if last else 0.0,
        )

    def scene(self) -> Image:
        """Return the scene without moving people: the median of pictures from the whole time."""
        size = self._kept[-1].shape
        same = [picture for picture in self._kept if picture.shape == size]
        return cast("Image", np.median(np.stack(same[:: max(1, len(same) // KEPT)]), axis=0).astype(np.uint8))


def _shrunk(picture: Image) -> Grey:
    height, width = picture.shape[:2]
    size = (WIDTH, max(16, round(height * WIDTH / width)))
    grey = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return cast("Grey", grey)


def _shift(before: Grey, after: Grey) -> float | None:
    """Return the shift of the whole picture in pixels: the median over matched corners (Lucas and Kanade).

    People move a few corners, the camera moves all. None if there are too few corners.
    """
    if before.shape != after.shape:
        return None
    corners = cast("_Points | None", cv2.goodFeaturesToTrack(before, _CORNERS, 0.02, 5))
    if corners is None or len(corners) < _ENOUGH:
        return None
    matched, status, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, cast("_Points", None), maxLevel=4)
    again = np.asarray(status).ravel() == 1
    if again.sum() < max(_ENOUGH, len(corners) // 3):
        return None
    moves = (np.asarray(matched) - corners).reshape(-1, 2)[again]
    return float(np.hypot(*np.median(moves, axis=0)))
