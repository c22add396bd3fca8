"""A detector for the simulated door that remembers nothing: each frame is compared with the door when it is empty.

Stateless, unlike `motion`: any replica finds the same people in a frame, which the fault tests need. Not accurate.
"""

from __future__ import annotations

import cv2
import numpy as np

from contracts.events import Model
from services.detector.backends.protocol import Found, Image
from services.ingest.sources.opening import open_source

DIFFERENT = 40
SMALLEST = 600
"""Pixels: less is no person."""


class EmptyDoor:
    """Finds what differs from the empty scene."""

    model = Model(name="empty-door")
    stateful = False

    def __init__(self) -> None:
        source = open_source("sim://door?people=1&pace=max&spacing=clear")
        source.grab()
        self._empty = cv2.blur(source.retrieve(), (5, 5))
        source.close()

    def detect(self, frame: Image, stream: str) -> Found:
        """The people in a frame of the simulated door."""
        del stream
        difference = cv2.absdiff(cv2.blur(frame, (5, 5)), self._empty).max(axis=2)
        mask = cv2.morphologyEx((difference > DIFFERENT).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((15, 9), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        boxes = [(x, y, x + w, y + h) for x, y, w, h, area in stats[1:].tolist() if area >= SMALLEST]
        return Found(np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32))
