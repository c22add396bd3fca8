"""The protocol of detectors: BGR frames in, boxes of people with scores out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from contracts.events import Model

Image = NDArray[np.uint8]
"""(height, width, 3) uint8, BGR as OpenCV reads it."""


LOWEST_SCORE = 0.1
"""Lowest score of a detection. So low because the tracker's second pass follows hidden people by weak boxes."""


class ModelUnavailable(Exception):
    """A model cannot be used. The message, shown on the dashboard, gives the problem and the remedy."""

    code = "model-unavailable"
    """Name of the kind of problem."""


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

    @classmethod
    def inside(cls, boxes: NDArray[np.float32], scores: NDArray[np.float32], width: int, height: int) -> Self:
        """Cut boxes to a frame of this size, pixels, and sort them; boxes outside of it are dropped."""
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
        visible = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
        best_first = visible[np.argsort(-scores[visible], kind="stable")]
        return cls(boxes[best_first], scores[best_first].clip(0, 1))


NOBODY = Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


class Detector(Protocol):
    """Finds people in frames. One instance is used by one thread at a time."""

    @property
    def model(self) -> Model:
        """The model, as it is named in detections."""
        ...

    @property
    def stateful(self) -> bool:
        """True where a frame's result depends on the frames before it: then one instance must see all, in order."""
        ...

    def detect(self, frame: Image, stream: str) -> Found:
        """Find the people in a frame.

        Args:
            frame: the picture.
            stream: run, camera and session, for detectors that learn a background; others ignore it.
        """
        ...


@runtime_checkable
class LearningDetector(Detector, Protocol):
    """A detector that learns the background of each camera, and can save it for another instance."""

    def learnt(self, stream: str) -> bytes | None:
        """The learnt background of a stream; None while too little is learnt."""
        ...

    def recall(self, stream: str, learnt: bytes) -> None:
        """Replace the background of a stream by a saved one.

        Raises:
            ValueError: it cannot be read.
        """
        ...


@runtime_checkable
class BatchDetector(Detector, Protocol):
    """A detector for several frames at once, each independently: it keeps no state of streams."""

    @property
    def batch(self) -> int:
        """Best number of frames in a batch: many on a GPU, 1 where batches gain nothing."""
        ...

    def detect_batch(self, frames: Sequence[Image]) -> list[Found]:
        """Find the people in each of several frames, which may differ in size; the same results as by `detect`."""
        ...
