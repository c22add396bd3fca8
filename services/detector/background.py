"""What moves in front of a fixed camera's background: a mask per frame, from a background that is learnt as it goes."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from services.detector.protocol import Image

Mask = NDArray[np.uint8]
"""(height, width) uint8: 255 where somebody is, 0 elsewhere."""

WARM_UP = 20
"""Frames that are learnt whole, whoever walks through them; nothing is reported before their first half is over."""
HISTORY = 200
"""Frames after which a changed background is learnt, where nobody stands."""
PATIENCE = 600
"""Frames that something may stay before it is taken for furniture: a minute at 10 frames a second."""
CONTRAST = 20.0
"""Squared distance, in variances, beyond which a pixel is not background (OpenCV's default is 16)."""
SHADOW = 0.55
"""A pixel of the background's colour that keeps at least this part of its light lies in a shadow."""
SUDDEN = 0.6
"""Part of the picture that no crowd fills: when more changes at once, the light or the camera did."""


class Background:
    """The background of one camera, and the age of what stands before it.

    Where somebody stands, nothing is learnt, so that who waits does not melt away; only what has stayed for `PATIENCE`
    frames is let in.
    """

    def __init__(self, width: int, height: int) -> None:
        self._learner = cv2.createBackgroundSubtractorMOG2(HISTORY, CONTRAST, detectShadows=True)
        self._learner.setShadowThreshold(SHADOW)
        self._age = np.zeros((height, width), np.uint16)
        self._seen = 0

    def foreground(self, picture: Image) -> Mask:
        """What is not background in the next picture, (height, width, 3) BGR, shadows left out."""
        # Sensor noise is of single pixels, people are not.
        smooth = cast("Image", cv2.GaussianBlur(picture, (5, 5), 0))
        self._seen += 1
        if self._seen <= WARM_UP:
            marks = self._learner.apply(smooth, learningRate=1.0 / self._seen)
            return _clean(marks) if self._seen > WARM_UP // 2 else np.zeros_like(self._age, np.uint8)
        mask = _clean(self._learner.apply(smooth, learningRate=0.0))
        if cv2.countNonZero(mask) > SUDDEN * mask.size:
            self._seen = 0
            return np.zeros_like(mask)
        self._learn(smooth, mask)
        return mask

    def _learn(self, smooth: Image, mask: Mask) -> None:
        self._age[mask > 0] += 1
        self._age[mask == 0] = 0
        waiting = np.where(self._age < PATIENCE, mask, 0).astype(np.uint8)
        # The rim of a person is half background: it must not be learnt either.
        guarded = cv2.dilate(waiting, _DISC_7)
        self._learner.apply(smooth, guarded, learningRate=1.0 / HISTORY)


def _clean(marks: MatLike) -> Mask:
    sure = cv2.threshold(marks, 254, 255, cv2.THRESH_BINARY)[1]
    opened = cv2.morphologyEx(sure, cv2.MORPH_OPEN, _DISC_3)
    return cast("Mask", cv2.morphologyEx(opened, cv2.MORPH_CLOSE, _DISC_5))


def _disc(size: int) -> NDArray[np.uint8]:
    return cast("NDArray[np.uint8]", cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))


_DISC_3, _DISC_5, _DISC_7 = _disc(3), _disc(5), _disc(7)
