"""Rendering of the simulated door at any moment: scenery, shadows, people, drifting light, sensor noise."""

from __future__ import annotations

import math
from typing import cast

import cv2
import numpy as np

from services.ingest.simulator.figures import ASPECT, phase_of, sprite
from services.ingest.simulator.geometry import (
    DOOR_LEFT,
    DOOR_RIGHT,
    DOOR_TOP,
    HEIGHT,
    THRESHOLD,
    WIDTH,
    height_at,
)
from services.ingest.simulator.scenery import paint
from services.ingest.simulator.trajectories import PersonWalk
from services.kit.codec import Image

NOISE_SIGMA = 3.0
"""Standard deviation of the sensor noise, in grey levels of 255: that of a cheap camera indoors."""
_NOISE_BIAS = 12
"""Added to the noise to keep it in unsigned bytes, and subtracted with the light."""
_NOISE_ROOM = 96
"""Pixels by which the noise tile is larger than a picture; each frame uses another part of it."""
_SHADOW = 0.42
"""Part of the light that a shadow takes in its middle."""

Rect = tuple[int, int, int, int]
"""Left, top, right, bottom; pixels of the picture."""


class Renderer:
    """Draws frames of one size. A frame depends on its number, time and people alone, not on earlier frames.

    Args:
        width: pixels.
        height: pixels.
        seed: of the simulation.
    """

    def __init__(self, width: int, height: int, seed: int) -> None:
        rng = np.random.default_rng((seed, 6))
        self._seed = seed
        self._scale = (width / WIDTH, height / HEIGHT)
        self._size = (width, height)
        self._empty = paint(width, height, seed)
        noise = rng.normal(_NOISE_BIAS, NOISE_SIGMA, (height + _NOISE_ROOM, width + _NOISE_ROOM, 3))
        self._noise = np.clip(np.round(noise), 0, 255).astype(np.uint8)
        self._drift = rng.uniform(0, 2 * math.pi, 3)
        y, x = np.mgrid[-1:1:64j, -1:1:64j]
        self._blob = np.exp(-2.8 * (x**2 + y**2) ** 1.3).astype(np.float32)

    def draw(self, index: int, time: float, people: list[PersonWalk]) -> Image:
        """Draw a frame, (height, width, 3) uint8, BGR.

        Args:
            index: of the frame, from 0.
            time: seconds after the first frame.
            people: in the scene at that time.
        """
        picture = self._empty.copy()
        placed = sorted(((walk, *walk.at(time)) for walk in people), key=lambda place: (place[2], place[0].number))
        for walk, x, y, _, _ in placed:
            self._shadow(picture, x, y, height_at(y) * walk.stature)
        for walk, x, y, steps, facing in placed:
            self._figure(picture, walk, x, y, steps, facing)
        picture = cast("Image", cv2.LUT(picture, self._light(time)))
        left, top = _scattered(index, _NOISE_ROOM), _scattered(index * 31 + 7, _NOISE_ROOM)
        width, height = self._size
        return cast("Image", cv2.add(picture, self._noise[top : top + height, left : left + width]))

    def _light(self, time: float) -> Image:
        """Table of grey levels at a time, (256,) uint8: the light drifts with periods from 4 s to 2 minutes."""
        slow, middle, quick = self._drift
        gain = (
            1.0
            + 0.05 * math.sin(2 * math.pi * time / 113 + slow)
            + 0.025 * math.sin(2 * math.pi * time / 41 + middle)
            + 0.006 * math.sin(2 * math.pi * time / 3.7 + quick)
        )
        levels = np.round(np.arange(256, dtype=np.float64) * gain) - _NOISE_BIAS
        return np.clip(levels, 0, 255).astype(np.uint8)

    def _figure(self, picture: Image, walk: PersonWalk, x: float, y: float, steps: float, facing: bool) -> None:
        tall = height_at(y) * walk.stature
        wide = tall * ASPECT
        figure = sprite(self._seed, walk.number, phase_of(steps), facing)
        place = self._rect(x - wide / 2, y - tall, x + wide / 2, y)
        clip = self._opening() if y < THRESHOLD else (0, 0, *self._size)
        size = (max(1, place[2] - place[0]), max(1, place[3] - place[1]))
        part = _overlap(place, clip)
        if part is None:
            return
        inside = (
            slice(part[1] - place[1], part[3] - place[1]),
            slice(part[0] - place[0], part[2] - place[0]),
        )
        colour = cv2.resize(figure.colour, size, interpolation=cv2.INTER_LINEAR)[inside]
        veil = cv2.resize(figure.veil, size, interpolation=cv2.INTER_LINEAR)[inside]
        under = picture[part[1] : part[3], part[0] : part[2]]
        under[:] = cv2.add(cv2.multiply(under, veil, scale=1 / 255), colour)

    def _shadow(self, picture: Image, x: float, y: float, tall: float) -> None:
        """Draw a soft shadow towards the camera and a little to the right, as the light comes from the door."""
        outside = y < THRESHOLD
        place = self._rect(x - tall * 0.2, y - tall * 0.09, x + tall * 0.3, y + tall * 0.12)
        part = _overlap(place, self._opening() if outside else (0, 0, *self._size))
        if part is None or place[2] - place[0] < 2 or place[3] - place[1] < 2:
            return
        blob = cv2.resize(self._blob, (place[2] - place[0], place[3] - place[1]), interpolation=cv2.INTER_LINEAR)
        blob = blob[part[1] - place[1] : part[3] - place[1], part[0] - place[0] : part[2] - place[0]]
        under = picture[part[1] : part[3], part[0] : part[2]]
        under[:] = (under * (1 - _SHADOW * blob)[:, :, None]).astype(np.uint8)

    def _opening(self) -> Rect:
        return self._rect(DOOR_LEFT + 5, DOOR_TOP, DOOR_RIGHT - 5, THRESHOLD)

    def _rect(self, left: float, top: float, right: float, bottom: float) -> Rect:
        sx, sy = self._scale
        return round(left * sx), round(top * sy), round(right * sx), round(bottom * sy)


def _overlap(a: Rect, b: Rect) -> Rect | None:
    """The intersection of two rectangles; None where it is empty."""
    both = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    return both if both[0] < both[2] and both[1] < both[3] else None


def _scattered(index: int, room: int) -> int:
    """A number below `room` that is scattered over the indices (Knuth's multiplicative hashing)."""
    return (index * 2654435761 >> 7) % 2**20 % room
