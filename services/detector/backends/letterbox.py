"""Letterboxing: scales a frame into a network's input, and boxes in the input back to the frame.

    STRETCH                CORNER                 CENTRE
    ┌────────────┐         ┌──────────┬─┐         ┌─┬────────┬─┐
    │   frame,   │         │  frame   │g│         │g│ frame  │g│      g: grey (114)
    │  squeezed  │         │          │r│         │r│        │r│
    └────────────┘         └──────────┴─┘         └─┴────────┴─┘

Coordinates are of pixel edges: the frame's right edge, x = width, lies on the right edge of its place in the input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from services.detector.backends.protocol import Image

GREY = 114
"""Level of the padding in the training of YOLOX and Ultralytics."""


class FitMode(StrEnum):
    """Way of fitting frames of another shape into the input, as in the network's training."""

    STRETCH = "stretch"
    """Stretched over the whole input: the SSD models of the Open Model Zoo."""
    CORNER = "corner"
    """In proportion, at the top left, grey at the right or below: YOLOX (`yolox/data/data_augment.py`, preproc)."""
    CENTRE = "centre"
    """In proportion, in the middle of grey: Ultralytics (`ultralytics/data/augment.py`, LetterBox)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A frame's place in a network's input, all in whole pixels.

    Attributes:
        left: of the frame's place in the input.
        top: of the frame's place in the input.
        width: of the frame's place in the input.
        height: of the frame's place in the input.
        frame_width: of the frame itself.
        frame_height: of the frame itself.
    """

    left: int
    top: int
    width: int
    height: int
    frame_width: int
    frame_height: int

    @classmethod
    def of(cls, frame: tuple[int, int], into: tuple[int, int], fit: FitMode) -> Self:
        """Place a frame.

        Args:
            frame: width and height of the frame.
            into: width and height of the network's input.
            fit: the way of fitting.
        """
        frame_width, frame_height = frame
        if fit is FitMode.STRETCH:
            return cls(0, 0, into[0], into[1], frame_width, frame_height)
        scale = min(Fraction(into[0], frame_width), Fraction(into[1], frame_height))
        if fit is FitMode.CORNER:
            width, height = max(1, math.floor(frame_width * scale)), max(1, math.floor(frame_height * scale))
            return cls(0, 0, width, height, frame_width, frame_height)
        width, height = max(1, round(frame_width * scale)), max(1, round(frame_height * scale))
        # An odd pixel of padding goes to the right and below, as in training.
        return cls((into[0] - width) // 2, (into[1] - height) // 2, width, height, frame_width, frame_height)

    def draw(self, frame: Image, canvas: Image) -> None:
        """Draw the frame into its place on the canvas, which keeps what lies around it."""
        target = canvas[self.top : self.top + self.height, self.left : self.left + self.width]
        if (self.width, self.height) == (self.frame_width, self.frame_height):
            target[:] = frame
        else:
            target[:] = cv2.resize(frame, (self.width, self.height), interpolation=cv2.INTER_LINEAR)

    def to_frame(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scale boxes of the input, (N, 4) `x1, y1, x2, y2`, to pixels of the frame; they may reach outside it."""
        shift = np.array([self.left, self.top] * 2, np.float32)
        # Each axis has a factor of its own: rounding to whole pixels makes them differ by up to half an input pixel.
        factor = np.array([self.frame_width / self.width, self.frame_height / self.height] * 2, np.float32)
        return (boxes - shift) * factor
