"""The `motion` backend: moving objects before a fixed background. It has no weights, and takes carts for people.

It is for the simulated door, and for cameras that are set to it; it is never a default.
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
"""Frames with a side below this many pixels give no people."""
STREAMS = 64
"""Streams with a learnt background; of more, the least recently used are forgotten."""


class MotionDetector:
    """Finds moving people. Must see each stream's frames in order."""

    model = Model(name="motion")
    stateful = True

    def __init__(self, streams: int = STREAMS) -> None:
        """Keep the background of that many streams."""
        self._most = streams
        self._scenes: OrderedDict[str, _Scene] = OrderedDict()

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
        """The background of a stream and the sizes of people there; None while it is too new."""
        scene = self._scenes.get(stream)
        return None if scene is None else scene.learnt()

    def recall(self, stream: str, learnt: bytes) -> None:
        """Go on with a saved background. If the view has changed meanwhile, it is soon learnt anew.

        Raises:
            ValueError: it cannot be read.
        """
        self._scenes[stream] = _Scene.recalled(learnt)


class _Scene:
    """The learnt view of one camera."""

    def __init__(self, width: int, height: int) -> None:
        self.frame_size = (width, height)
        # By a whole number, as OpenCV shrinks several times faster by one.
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
