"""Background subtraction for fixed cameras: a mask of moving pixels per frame, from a background learnt meanwhile."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from services.detector.backends.protocol import Image

Mask = NDArray[np.uint8]
"""(height, width) uint8: 255 in the foreground, 0 elsewhere."""

WARM_UP = 20
"""Frames that are learnt whole, people included; the first half of them gives empty masks."""
HISTORY = 200
"""Frames after which a changed background is learnt, outside of the foreground."""
PATIENCE = 600
"""Frames that an object may stand still before it is learnt as background: a minute at 10 frames a second."""
STEP = 3
"""Frames between two updates of the background, each for `STEP` frames: it changes slowly, and an update is half of the
work."""
CONTRAST = 16.0
"""Squared distance, in variances, beyond which a pixel is not background."""
SHADOW = 0.55
"""A pixel of the background's colour counts as shadow if it keeps at least this fraction of its brightness."""
SURE, SURE_OR_SHADOW = 254, 0
"""Thresholds for the marks of MOG2: 255 is foreground, 127 shadow."""
BRIGHTER = 1.4
"""Factor by which the light may change before the background is learnt anew."""
ANCHOR = 0.995
"""Fraction of a change of the light, on a logarithmic scale, that is compensated at once."""
SUDDEN = 0.6
"""Fraction of the picture that no crowd fills: when more changes at once, the light has changed or the camera moved."""


class Background:
    """The background of one camera, and the age of the foreground at each pixel.

    Foreground pixels are learnt only after `PATIENCE` frames, so that a waiting person stays in the foreground.
    """

    def __init__(self, width: int, height: int) -> None:
        self._learner = cv2.createBackgroundSubtractorMOG2(HISTORY, CONTRAST, detectShadows=True)
        self._learner.setShadowThreshold(SHADOW)
        self._age = np.zeros((height, width), np.uint16)
        self._bare = np.zeros((height, width, 3), np.uint8)
        self._seen = 0

    @property
    def bare(self) -> Image | None:
        """The background as a picture; None while it is learnt from scratch."""
        return self._bare if self._seen > WARM_UP else None

    def recall(self, bare: Image) -> None:
        """Start from a saved picture of the background."""
        self._forget()
        self._bare = bare
        while self._seen < WARM_UP:
            self._seen += 1
            self._learner.apply(bare, learningRate=1.0 / self._seen)
        self._seen += 1

    def foreground(self, picture: Image) -> Mask:
        """The foreground mask of the next picture, (height, width, 3) BGR, without shadows."""
        # Removes sensor noise, which is of single pixels.
        smooth = cast("Image", cv2.GaussianBlur(picture, (5, 5), 0))
        if self._seen > WARM_UP:
            gain = self._gain(smooth)
            if ((gain > 1 / BRIGHTER) & (gain < BRIGHTER)).all():
                smooth = cast("Image", cv2.LUT(smooth, (_LEVELS * gain).round().clip(0, 255).astype(np.uint8)))
            else:
                self._forget()
        self._seen += 1
        if self._seen <= WARM_UP:
            self._bare = smooth
            marks = self._learner.apply(smooth, learningRate=1.0 / self._seen)
            return _clean(marks, SURE) if self._seen > WARM_UP // 2 else np.zeros_like(self._age, np.uint8)
        marks = self._learner.apply(smooth, learningRate=0.0)
        mask = _clean(marks, SURE)
        if cv2.countNonZero(mask) > SUDDEN * mask.size:
            self._forget()
            return np.zeros_like(mask)
        if self._seen % STEP == 0:
            self._learn(smooth, _clean(marks, SURE_OR_SHADOW))
        return mask

    def _forget(self) -> None:
        self._seen = 0
        self._age.fill(0)

    def _gain(self, smooth: Image) -> NDArray[np.float64]:
        """Brightness of the background through that of this picture, per colour: clouds and lamps change all pixels."""
        coarse, bare = smooth[::4, ::4].astype(np.float32), self._bare[::4, ::4].astype(np.float32)
        # The median, as people change a few pixels by much.
        gain = np.median((bare + 1) / (coarse + 1), axis=(0, 1)).astype(np.float64)
        # The rest is left to be learnt, so that the background cannot drift from the pictures in the course of days.
        return cast("NDArray[np.float64]", gain**ANCHOR)

    def _learn(self, smooth: Image, covered: Mask) -> None:
        self._age[covered > 0] += STEP
        self._age[covered == 0] = 0
        waiting = np.where(self._age < PATIENCE, covered, 0).astype(np.uint8)
        # The rim of a person is half background: it must not be learnt either.
        guarded = cv2.dilate(waiting, _DISC_7)
        # Behind people the last known background is learnt again. (OpenCV 5.0 learns pixels in spite of MOG2's own
        # `knownForegroundMask`.)
        cv2.copyTo(smooth, cv2.bitwise_not(guarded), self._bare)
        self._learner.apply(self._bare, learningRate=STEP / HISTORY)


def _clean(marks: MatLike, above: int) -> Mask:
    """The marks above a level, without specks and with small holes filled."""
    opened = cv2.morphologyEx(cv2.threshold(marks, above, 255, cv2.THRESH_BINARY)[1], cv2.MORPH_OPEN, _DISC_3)
    return cast("Mask", cv2.morphologyEx(opened, cv2.MORPH_CLOSE, _DISC_5))


def _disc(size: int) -> NDArray[np.uint8]:
    return cast("NDArray[np.uint8]", cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))


_LEVELS = np.arange(256.0).reshape(1, 256, 1)
_DISC_3, _DISC_5, _DISC_7 = _disc(3), _disc(5), _disc(7)
