"""Scenery of the simulated door: the empty shop, painted once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import cv2
import numpy as np

from services.ingest.simulator.geometry import DOOR_LEFT, DOOR_RIGHT, DOOR_TOP, HEIGHT, MIDDLE, THRESHOLD, WIDTH
from services.kit.codec import Image

_FINE = 2
"""Factor by which the scene is painted larger than the reference picture, for smooth edges."""
_SUBPIXEL_BITS = 4

Colour = tuple[int, int, int]
Point = tuple[float, float]

_WALL: Colour = (176, 190, 196)
_FRAME: Colour = (72, 66, 60)
_GOODS: Sequence[Colour] = (
    (60, 80, 190), (70, 150, 210), (150, 110, 60), (90, 150, 90), (190, 190, 200), (120, 70, 130), (50, 120, 170),
)  # fmt: skip


def paint(width: int, height: int, seed: int) -> Image:
    """Paint the empty scene, (height, width, 3) uint8, BGR."""
    rng = np.random.default_rng((seed, 5))
    canvas = _Canvas()
    _walls(canvas)
    _street(canvas)
    _floor(canvas, rng)
    _door(canvas)
    for side in (-1.0, 1.0):
        _shelf(canvas, rng, side)
    return canvas.finish(width, height, rng)


class _Canvas:
    """A drawing in reference pixels."""

    def __init__(self) -> None:
        self.picture = np.zeros((int(HEIGHT) * _FINE, int(WIDTH) * _FINE, 3), np.uint8)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        corners = np.round(np.array(points) * _FINE * 2**_SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(self.picture, [corners], colour, cv2.LINE_AA, _SUBPIXEL_BITS)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def line(self, a: Point, b: Point, colour: Colour, width: float) -> None:
        (xa, ya), (xb, yb) = ((round(x * _FINE), round(y * _FINE)) for x, y in (a, b))
        cv2.line(self.picture, (xa, ya), (xb, yb), colour, max(1, round(width * _FINE)), cv2.LINE_AA)

    def blend(self, left: float, top: float, right: float, bottom: float, colour: Colour, share: float) -> None:
        """Blend a colour over a box, as glass does; `share` is its opacity."""
        part = self.picture[round(top * _FINE) : round(bottom * _FINE), round(left * _FINE) : round(right * _FINE)]
        part[:] = (part * (1 - share) + np.array(colour) * share).astype(np.uint8)

    def shade(self, top: float, bottom: float, above: float, below: float) -> None:
        """Multiply a band of rows by factors that change evenly from `above` to `below`."""
        part = self.picture[round(top * _FINE) : round(bottom * _FINE)]
        part[:] = np.clip(part * np.linspace(above, below, len(part))[:, None, None], 0, 255).astype(np.uint8)

    def finish(self, width: int, height: int, rng: np.random.Generator) -> Image:
        """Add light from the door, darker corners and grain, and scale to a size in pixels."""
        rows, columns = np.indices(self.picture.shape[:2], dtype=np.float32)
        y, x = rows / _FINE, columns / _FINE
        from_door = np.exp(-(((x - MIDDLE) / 150) ** 2) - ((y - THRESHOLD - 20) / 110) ** 2)
        corners = ((x / WIDTH - 0.5) ** 2 + (y / HEIGHT - 0.5) ** 2) * 0.5
        light = (0.98 + 0.16 * from_door - corners)[:, :, None]
        grain = rng.normal(0, 5, (*self.picture.shape[:2], 1)).astype(np.float32)
        lit = np.clip(self.picture * light + grain, 0, 255).astype(np.uint8)
        size = (width, height)
        return cast("Image", cv2.GaussianBlur(cv2.resize(lit, size, interpolation=cv2.INTER_AREA), (0, 0), 0.6))


def _walls(canvas: _Canvas) -> None:
    canvas.box(0, 0, WIDTH, THRESHOLD, _WALL)
    canvas.shade(0, THRESHOLD, 0.82, 1.0)
    canvas.box(0, THRESHOLD - 9, WIDTH, THRESHOLD, (118, 126, 132))
    for left, word_width in ((40.0, 96.0), (498.0, 96.0)):
        # Posters, with bars for text.
        canvas.box(left - 4, 26, left + word_width + 4, 104, (120, 128, 134))
        canvas.box(left, 30, left + word_width, 100, (222, 214, 206) if left < MIDDLE else (150, 176, 120))
        canvas.box(left + 8, 38, left + word_width - 8, 62, (70, 90, 200) if left < MIDDLE else (235, 235, 235))
        for row in range(3):
            canvas.box(left + 8, 70 + row * 9, left + word_width - 14 - row * 18, 74 + row * 9, (120, 120, 124))


def _street(canvas: _Canvas) -> None:
    canvas.box(DOOR_LEFT, DOOR_TOP, DOOR_RIGHT, THRESHOLD, (212, 214, 208))
    for i, tone in enumerate((168, 150, 180, 160)):
        left = DOOR_LEFT + i * 53
        canvas.box(left, DOOR_TOP, left + 47, 62 + 5 * (i % 2), (tone + 14, tone + 4, tone - 6))
        for window in range(3):
            canvas.box(left + 6 + window * 14, 30, left + 14 + window * 14, 44, (128, 112, 96))
    canvas.box(DOOR_LEFT, 70, DOOR_RIGHT, 96, (142, 140, 138))
    for dash in range(5):
        canvas.box(DOOR_LEFT + 8 + dash * 44, 82, DOOR_LEFT + 28 + dash * 44, 84, (215, 218, 220))
    canvas.box(DOOR_LEFT, 96, DOOR_RIGHT, 100, (128, 128, 130))
    canvas.box(DOOR_LEFT, 100, DOOR_RIGHT, THRESHOLD, (186, 190, 192))
    for joint in range(8):
        x = DOOR_LEFT + joint * 28
        canvas.line((x, 100), (MIDDLE + (x - MIDDLE) * 1.3, THRESHOLD), (168, 172, 176), 0.8)


def _floor(canvas: _Canvas, rng: np.random.Generator) -> None:
    # Tiles between lines that meet above the picture; rows grow towards the camera.
    vanishing = -420.0
    rows = [THRESHOLD]
    while rows[-1] < HEIGHT:
        rows.append(rows[-1] + 16 * (rows[-1] - vanishing) / (THRESHOLD - vanishing))
    for top, bottom in pairwise(rows):
        spread = [(y - vanishing) / (THRESHOLD - vanishing) for y in (top, bottom)]
        for column in range(-14, 14):
            corners = [
                (MIDDLE + column * 30 * spread[0], top), (MIDDLE + (column + 1) * 30 * spread[0], top),
                (MIDDLE + (column + 1) * 30 * spread[1], bottom), (MIDDLE + column * 30 * spread[1], bottom),
            ]  # fmt: skip
            tone = rng.normal(0, 4)
            canvas.polygon(corners, (round(134 + tone), round(150 + tone), round(162 + tone)))
            canvas.line(corners[0], corners[3], (112, 126, 138), 0.9)
        canvas.line((0, top), (WIDTH, top), (112, 126, 138), 0.9)
    mat = [(MIDDLE - 84, 156.0), (MIDDLE + 84, 156.0), (MIDDLE + 96, 184.0), (MIDDLE - 96, 184.0)]
    canvas.polygon(mat, (96, 112, 172))
    for rib in range(7):
        y = 159.0 + rib * 3.8
        canvas.line((MIDDLE - 84 - rib * 1.6, y), (MIDDLE + 84 + rib * 1.6, y), (84, 98, 156), 0.8)


def _door(canvas: _Canvas) -> None:
    for x in (DOOR_LEFT, DOOR_RIGHT):
        canvas.box(x - 5, DOOR_TOP - 6, x + 5, THRESHOLD + 2, _FRAME)
        # The open wings of the door, edge on, against the wall.
        outward = -1.0 if x < MIDDLE else 1.0
        wing = sorted((x + outward * 5, x + outward * 20))
        canvas.blend(wing[0], DOOR_TOP, wing[1], THRESHOLD, (205, 200, 186), 0.55)
        canvas.line((x + outward * 20, DOOR_TOP), (x + outward * 20, THRESHOLD), _FRAME, 2)
        canvas.line((x + outward * 12, 84), (x + outward * 12, 104), (150, 150, 150), 2)
    canvas.box(DOOR_LEFT - 22, DOOR_TOP - 12, DOOR_RIGHT + 22, DOOR_TOP - 2, _FRAME)
    canvas.box(DOOR_LEFT, THRESHOLD - 2, DOOR_RIGHT, THRESHOLD + 2, (120, 122, 124))


def _shelf(canvas: _Canvas, rng: np.random.Generator, side: float) -> None:
    """Paint a shelf along a side wall (-1 left, 1 right), its boards running towards the camera."""

    def across(x: float) -> float:
        return x if side < 0 else WIDTH - x

    canvas.polygon([(across(0), 112), (across(56), 140), (across(18), HEIGHT), (across(0), HEIGHT)], (84, 104, 124))
    canvas.polygon([(across(0), 104), (across(50), 128), (across(56), 140), (across(0), 122)], (110, 134, 158))
    for board in range(5):
        near, far = 150.0 + board * 52, 150.0 + board * 27
        canvas.line((across(0), near), (across(54 - board * 6), far), (66, 82, 98), 2)
        for item in range(5):
            x0 = item * (10.5 - board)
            x1 = x0 + 8.5 - board * 0.8
            y = near + (far - near) * (x0 / (54 - board * 6))
            colour = _GOODS[int(rng.integers(len(_GOODS)))]
            canvas.box(min(across(x0), across(x1)), y - 20, max(across(x0), across(x1)), y - 2, colour)
