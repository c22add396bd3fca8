"""The `motion` backend: what moves before a fixed background. It needs no weights, and cannot tell people from carts.

For the simulated door, and for a camera whose owner chose it; nobody gets it without asking.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from io import BytesIO
from typing import cast
from zipfile import BadZipFile

import cv2
import numpy as np

from contracts.events import Model
from services.detector.backends.protocol import NOBODY, Found, Image
from services.detector.motion.background import Background
from services.detector.motion.blobs import Silhouettes

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

    def learnt(self, stream: str) -> bytes | None:
        """The background of a stream and the size of people there."""
        scene = self._scenes.get(stream)
        return None if scene is None else scene.learnt()

    def recall(self, stream: str, learnt: bytes) -> None:
        """Go on with a background from before. Where the view is another by now, it is soon forgotten.

        Raises:
            ValueError: it cannot be read.
        """
        self._scenes[stream] = _Scene.recalled(learnt)


class _Scene:
    """What is known of one camera's view."""

    def __init__(self, width: int, height: int) -> None:
        self.frame_size = (width, height)
        # By a whole number, which OpenCV does several times faster.
        shrink = max(1, round(width / WIDTH))
        self._size = (width // shrink, height // shrink)
        self._background = Background(*self._size)
        self._silhouettes = Silhouettes(*self._size)

    @classmethod
    def recalled(cls, learnt: bytes) -> _Scene:
        try:
            with np.load(BytesIO(learnt)) as known:
                bare, (width, height), sightings = known["bare"], known["frame"].tolist(), known["sightings"]
        except (ValueError, KeyError, OSError, EOFError, BadZipFile, zlib.error) as error:
            raise ValueError(f"no background of this release: {error!r}") from error
        scene = cls(width, height)
        if bare.shape != (*reversed(scene._size), 3) or bare.dtype != np.uint8:
            raise ValueError(f"a background of {bare.shape} for frames of {width}x{height}")
        scene._background.recall(bare)
        scene._silhouettes.scale.recall(sightings)
        return scene

    def learnt(self) -> bytes | None:
        bare = self._background.bare
        if bare is None:
            return None
        kept = BytesIO()
        np.savez_compressed(kept, bare=bare, frame=self.frame_size, sightings=self._silhouettes.scale.sightings)
        return kept.getvalue()

    def people(self, frame: Image) -> Found:
        picture = frame
        if self._size != self.frame_size:
            picture = cast("Image", cv2.resize(frame, self._size, interpolation=cv2.INTER_AREA))
        found = self._silhouettes.people(self._background.foreground(picture))
        factor = np.array([self.frame_size[0] / self._size[0], self.frame_size[1] / self._size[1]] * 2, np.float32)
        return Found(found.boxes * factor, found.scores)
