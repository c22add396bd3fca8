"""Tiny networks for tests: whatever they are shown, they answer what they were told, in the layout of a real head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from numpy.typing import NDArray

from services.detector.backends.heads import cells

Rows = Sequence[Sequence[float]]


def ssd(rows: Rows, room: int = 20) -> NDArray[np.float32]:
    """The answer of an SSD: rows of image, label, score, x1, y1, x2, y2; then the end mark."""
    answer = np.zeros((1, 1, room, 7), np.float32)
    answer[0, 0, : len(rows)] = np.array(rows, np.float32).reshape(-1, 7)
    answer[0, 0, len(rows), 0] = -1
    return answer


def yolo(rows: Rows, side: int, classes: int = 80) -> NDArray[np.float32]:
    """The answer of a YOLO11: rows of centre x, centre y, width, height, class, score."""
    answer = np.zeros((1, 4 + classes, cells(side, side)), np.float32)
    for cell, (x, y, width, height, label, score) in enumerate(rows):
        answer[0, :4, cell] = x, y, width, height
        answer[0, 4 + int(label), cell] = score
    return answer


def yolox(rows: Rows, side: int, classes: int = 80) -> NDArray[np.float32]:
    """The answer of a YOLOX, each row (as for `yolo`) put into its cell of the coarsest grid, before decoding."""
    answer = np.zeros((1, cells(side, side), 5 + classes), np.float32)
    stride, columns = 32, side // 32
    for x, y, width, height, label, score in rows:
        column, row = int(x // stride), int(y // stride)
        cell = cells(side, side) - columns * columns + row * columns + column
        answer[0, cell, :4] = x / stride - column, y / stride - row, np.log(width / stride), np.log(height / stride)
        answer[0, cell, 4] = 1.0
        answer[0, cell, 5 + int(label)] = score
    return answer


def save(
    path: Path,
    answer: NDArray[np.float32],
    size: tuple[int, int] = (64, 64),
    names: str | None = None,
    shape: Sequence[int] | None = None,
) -> Path:
    """Write a network that always gives this answer; `size` is width and height of the input, `names` of the labels."""
    picture = ops.parameter(list(shape or (1, 3, size[1], size[0])), np.float32, name="picture")
    # It must depend on the picture, or there would be nothing to run.
    everything = np.arange(len(picture.output(0).partial_shape))
    nothing = ops.multiply(ops.reduce_mean(picture, everything, keep_dims=False), np.float32(0))
    network = ov.Model([ops.add(ops.constant(answer), nothing)], [picture], "told")
    if names is not None:
        network.set_rt_info(names, ["model_info", "labels"])
    path.parent.mkdir(parents=True, exist_ok=True)
    ov.save_model(network, path, compress_to_fp16=False)
    return path


def save_looking(path: Path, side: int = 64) -> Path:
    """Write a network whose score is the mean of the input's first channel: it tells what it was shown."""
    picture = ops.parameter([1, 3, side, side], np.float32, name="picture")
    means = ops.reduce_mean(picture, np.array([2, 3]), keep_dims=False)
    first = ops.reshape(ops.gather(means, np.array([0]), np.int64(1)), np.array([1, 1, 1]), special_zero=False)
    box = ops.constant(np.array([[[0, 0, side, side]]], np.float32))
    label = ops.constant(np.zeros((1, 1, 1), np.float32))
    network = ov.Model([ops.concat([box, first, label], 2)], [picture], "looking")
    ov.save_model(network, path, compress_to_fp16=False)
    return path
