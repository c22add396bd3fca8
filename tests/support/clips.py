"""Small videos, made on the spot."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from services.kit.codec import Image


def numbered_picture(number: int, size: tuple[int, int] = (160, 120)) -> Image:
    """A picture whose brightness, and the place of a white square in it, tell its number."""
    width, height = size
    picture = np.full((height, width, 3), 40 + number % 100, np.uint8)
    x = (number * 7) % (width - 20)
    picture[20:40, x : x + 20] = 255
    return picture


def write_clip(path: Path, count: int, fps: float = 10.0, size: tuple[int, int] = (160, 120)) -> Path:
    """An mp4 of numbered pictures."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    assert writer.isOpened()
    for number in range(count):
        writer.write(numbered_picture(number, size))
    writer.release()
    return path
