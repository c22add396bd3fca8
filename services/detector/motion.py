"""The `motion` backend: what moves before a fixed background. It needs no weights, and cannot tell people from carts.

For the simulated door, and for a camera whose owner chose it; nobody gets it without asking.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

import cv2
import numpy as np

from contracts.events import Model
from services.detector.background import Background
from services.detector.protocol import NOBODY, Found, Image
from services.detector.silhouettes import Silhouettes

WIDTH = 360
"""Pixels that a frame is shrunk to, about: enough to see a gap between two people, at a quarter of the work."""
SMALLEST_SIDE = 16
"""Frames below this many pixels show nobody."""
STREAMS = 64
"""Cameras whose background is kept; of more, those not seen for longest start anew."""


class MotionDetector:
    """Finds people as what moves. Must see each stream's frames in order."""

    stateful = True

    def __init__(self, streams: int = STREAMS) -> None:
        """Remember the background of that many streams."""
        self._most = streams
        self._scenes: OrderedDict[str, _Scene] = OrderedDict()

    @property
    def model(self) -> Model:
        """There are no weights to name."""
        return Model(name="motion")

    def detect(self, frame: Image, stream: str) -> Found:
        """Find the people in the next frame of a stream."""
        height, width = frame.shape[:2]
        if min(width, height) < SMALLEST_SIDE:
            return NOBODY
        scene = self._scenes.pop(stream, None)
        if scene is None or scene.frame_size != (width, height):
            scene = _Scene(width, height)
        self._scenes[stream] = scene
        if len(self._scenes) > self._most:
            self._scenes.popitem(last=False)
        return scene.people(frame)


class _Scene:
    """What is known of one camera's view."""

    def __init__(self, width: int, height: int) -> None:
        self.frame_size = (width, height)
        # By a whole number, which OpenCV does several times faster.
        shrink = max(1, round(width / WIDTH))
        self._size = (width // shrink, height // shrink)
        self._background = Background(*self._size)
        self._silhouettes = Silhouettes(*self._size)

    def people(self, frame: Image) -> Found:
        picture = frame
        if self._size != self.frame_size:
            picture = cast("Image", cv2.resize(frame, self._size, interpolation=cv2.INTER_AREA))
        found = self._silhouettes.people(self._background.foreground(picture))
        factor = np.array([self.frame_size[0] / self._size[0], self.frame_size[1] / self._size[1]] * 2, np.float32)
        return Found(found.boxes * factor, found.scores)
