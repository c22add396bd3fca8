"""A detector whose process dies over a frame, as native code does. For METRICA_BACKENDS."""

from __future__ import annotations

import os

import numpy as np

from contracts.spec import Capture
from services.detector.backends.protocol import Found, Image
from services.kit.codec import encode
from tests.support.sleeper import Sleeper

WIDTH, HEIGHT = 64, 48
_DEADLY = 240


class Deadly(Sleeper):
    """Finds nobody in a dark frame; a bright one ends the process."""

    def __init__(self) -> None:
        super().__init__(0.01)

    def detect(self, frame: Image, stream: str) -> Found:
        """Look at a frame, and live or die."""
        if frame.mean() > _DEADLY:
            os._exit(139)
        return super().detect(frame, stream)


def picture(*, deadly: bool = False) -> bytes:
    """A JPEG."""
    return encode(np.full((HEIGHT, WIDTH, 3), 255 if deadly else 10, np.uint8), Capture()).jpeg
