"""What every detector is: BGR frames in, boxes of people with scores out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from contracts.events import Model

Image = NDArray[np.uint8]
"""(height, width, 3) uint8, BGR as OpenCV reads it."""


LOWEST_SCORE = 0.1
"""What scores less is no detection. So low because the tracker's second pass keeps hidden people by weak ones."""


class ModelUnavailable(Exception):
    """A model cannot be used. The message says what is wrong and what to do, for the person at the dashboard."""


@dataclass(frozen=True, slots=True)
class Found:
    """The people in one frame, best score first.

    Attributes:
        boxes: (N, 4) float32 `x1, y1, x2, y2`, pixels of the given frame, inside it.
        scores: (N,) float32, 0 … 1.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)


NOBODY = Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


class Detector(Protocol):
    """Finds people in frames. One instance is used by one thread at a time."""

    @property
    def model(self) -> Model:
        """The weights that count, as they travel with every detection."""
        ...

    @property
    def stateful(self) -> bool:
        """Whether a frame's result depends on the frames before it: then one detector must see them in order."""
        ...

    def detect(self, frame: Image, stream: str) -> Found:
        """Find the people in a frame.

        Args:
            frame: the picture.
            stream: camera and session, for detectors that learn a background; others ignore it.
        """
        ...


@runtime_checkable
class LearningDetector(Detector, Protocol):
    """A detector that learns what a camera's view is without people, and can hand that on to its successor."""

    def learnt(self, stream: str) -> bytes | None:
        """Its knowledge of a stream's view; None while that is too little."""
        ...

    def recall(self, stream: str, learnt: bytes) -> None:
        """Go on with what was known of a stream's view, in the place of what is known here.

        Raises:
            ValueError: it cannot be read.
        """
        ...


@runtime_checkable
class BatchDetector(Detector, Protocol):
    """A detector that can look at several frames at once, each by itself: it keeps no state of any stream."""

    @property
    def batch(self) -> int:
        """How many frames it pays to look at together: many on a GPU, 1 where that gains nothing."""
        ...

    def detect_batch(self, frames: Sequence[Image]) -> list[Found]:
        """Find the people in each of several frames, which may differ in size: what `detect` finds in it."""
        ...
