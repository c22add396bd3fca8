"""Decoding of networks' outputs: from raw numbers to boxes of people, one pure function per kind of head.

Each returns boxes as (N, 4) float32 `x1, y1, x2, y2` in pixels of the network's input, and their scores (N,) float32,
in the network's order and down to `LOWEST_SCORE`; boxes with NaN or infinity are left out.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from services.detector.backends.letterbox import FitMode
from services.detector.backends.protocol import LOWEST_SCORE

Floats = NDArray[np.float32]
Candidates = tuple[Floats, Floats]

STRIDES = (8, 16, 32)
"""Pixels per cell of the three grids of YOLOX, YOLOv8 and YOLO11."""

NMS_IOU = 0.6
"""Boxes that overlap more than this are one person. Above the usual 0.45, as people in a doorway hide each other."""


class DetectionHead(StrEnum):
    """Layout of a network's output."""

    SSD = "ssd"
    """[1, 1, N, 7]: image, label, score, x1, y1, x2, y2 with 0 … 1 over the input; duplicates are removed inside."""
    YOLOX = "yolox"
    """[1, cells, 5 + classes]: centre and size in cells, the size as a logarithm; objectness; class scores."""
    YOLO = "yolo"
    """[1, 4 + classes, cells]: centre and size in pixels, class scores (YOLOv8, YOLO11)."""
    YOLO_END_TO_END = "yolo-end-to-end"
    """[1, N, 6]: x1, y1, x2, y2 in pixels, score, class; duplicates are removed inside (YOLOv10, YOLO26)."""

    @property
    def fit(self) -> FitMode:
        """The way of fitting frames into the input that these networks are trained with."""
        return {DetectionHead.SSD: FitMode.STRETCH, DetectionHead.YOLOX: FitMode.CORNER}.get(self, FitMode.CENTRE)

    @property
    def rgb_unit(self) -> bool:
        """True for input as RGB from 0 to 1, rather than BGR from 0 to 255."""
        return self in (DetectionHead.YOLO, DetectionHead.YOLO_END_TO_END)


def cells(width: int, height: int) -> int:
    """The number of cells of the three grids over an input."""
    return sum((width // stride) * (height // stride) for stride in STRIDES)


def people(head: DetectionHead, output: Floats, size: tuple[int, int], person: int) -> Candidates:
    """The people in a network's output.

    Args:
        head: layout of the output.
        output: of the network, unchanged.
        size: width and height of the network's input.
        person: the label of a person.
    """
    match head:
        case DetectionHead.SSD:
            boxes, scores = ssd(output, size, person)
        case DetectionHead.YOLOX:
            boxes, scores = suppress(*yolox(output, size, person))
        case DetectionHead.YOLO:
            boxes, scores = suppress(*yolo(output, person))
        case DetectionHead.YOLO_END_TO_END:
            boxes, scores = yolo_end_to_end(output, person)
    return boxes, scores


def ssd(output: Floats, size: tuple[int, int], person: int) -> Candidates:
    """People from an SSD's [1, 1, N, 7] (OpenVINO's DetectionOutput): an image number below 0 ends the rows."""
    rows = output.reshape(-1, 7)
    ended = np.flatnonzero(rows[:, 0] < 0)
    rows = rows[: ended[0]] if len(ended) else rows
    rows = rows[rows[:, 1] == person]
    return _kept(rows[:, 3:7] * np.array(size * 2, np.float32), rows[:, 2])


def yolox(output: Floats, size: tuple[int, int], person: int) -> Candidates:
    """People from YOLOX's raw [1, cells, 5 + classes] (`yolox/utils/demo_utils.py`, demo_postprocess)."""
    rows = output.reshape(output.shape[-2:])
    likely = np.flatnonzero(rows[:, 4] >= LOWEST_SCORE)  # a class score is at most 1
    rows = rows[likely]
    corner, stride = _grid(size)
    centre = (rows[:, :2] + corner[likely]) * stride[likely]
    extent = np.exp(rows[:, 2:4]) * stride[likely]
    classes = rows[:, 5:]
    is_person = classes.argmax(axis=1) == person if len(rows) else np.zeros(0, bool)
    boxes = np.concatenate([centre - extent / 2, centre + extent / 2], axis=1)
    return _kept(boxes[is_person], (rows[:, 4] * classes[:, person])[is_person])


def yolo(output: Floats, person: int) -> Candidates:
    """People from YOLOv8's and YOLO11's [1, 4 + classes, cells]."""
    rows = output.reshape(output.shape[-2:])
    likely = np.flatnonzero(rows[4 + person] >= LOWEST_SCORE)
    candidates = rows[:, likely].T
    is_person = candidates[:, 4:].argmax(axis=1) == person if len(likely) else np.zeros(0, bool)
    centre, extent = candidates[is_person, :2], candidates[is_person, 2:4]
    return _kept(np.concatenate([centre - extent / 2, centre + extent / 2], axis=1), candidates[is_person, 4 + person])


def yolo_end_to_end(output: Floats, person: int) -> Candidates:
    """People from the [1, N, 6] of networks that remove duplicates themselves (YOLOv10, YOLO26)."""
    rows = output.reshape(-1, 6)
    rows = rows[rows[:, 5] == person]
    return _kept(rows[:, :4], rows[:, 4])


def suppress(boxes: Floats, scores: Floats, iou: float = NMS_IOU) -> Candidates:
    """Remove the weaker of any two boxes that overlap more than `iou` (non-maximum suppression); best first."""
    if len(boxes) == 0:
        return boxes, scores
    corner_and_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    keep = np.asarray(cv2.dnn.NMSBoxes(corner_and_size.tolist(), scores.tolist(), 0.0, iou), np.intp).reshape(-1)
    return boxes[keep], scores[keep]


def _kept(boxes: Floats, scores: Floats) -> Candidates:
    kept = (scores >= LOWEST_SCORE) & np.isfinite(boxes).all(axis=1)
    return boxes[kept].astype(np.float32), scores[kept].astype(np.float32)


@lru_cache(maxsize=8)
def _grid(size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Each cell's column and row (cells, 2), and its stride (cells, 1)."""
    corners, strides = [], []
    for stride in STRIDES:
        columns, rows = np.meshgrid(np.arange(size[0] // stride), np.arange(size[1] // stride))
        corners.append(np.stack([columns, rows], axis=-1).reshape(-1, 2))
        strides.append(np.full((columns.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)
