"""Figures of the simulated door: each person has an appearance, and is drawn once per position of the legs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from services.kit.codec import Image

SPRITE_WIDTH, SPRITE_HEIGHT = 112, 176
"""Pixels of a drawn figure; feet at the lower edge, head at the upper one."""
ASPECT = SPRITE_WIDTH / SPRITE_HEIGHT
PHASES = 12
"""Positions of the legs in a double step."""
STRIDE = 0.8
"""Length of a double step, in heights of the person."""
_FINE = 2
"""Factor by which figures are drawn larger, and shrunk afterwards, for smooth edges."""

Colour = tuple[int, int, int]
"""Blue, green, red, 0 to 255."""

_CLOTHES: Sequence[Colour] = (
    (40, 40, 170), (140, 70, 30), (60, 110, 40), (30, 140, 210), (90, 40, 110), (150, 130, 40), (35, 35, 40),
    (60, 60, 95), (215, 215, 210), (50, 80, 160), (110, 50, 45), (120, 95, 190), (55, 95, 120), (75, 75, 30),
)  # fmt: skip
_TROUSERS: Sequence[Colour] = (
    (85, 55, 35), (45, 40, 40), (100, 75, 60), (60, 75, 95), (35, 30, 60), (70, 70, 70), (50, 60, 45),
)  # fmt: skip
_HAIR: Sequence[Colour] = ((20, 22, 28), (35, 50, 75), (45, 85, 130), (90, 150, 195), (130, 130, 135), (25, 40, 100))
_SKIN: Sequence[Colour] = ((150, 180, 225), (120, 155, 205), (95, 130, 180), (60, 90, 140), (45, 65, 100))


@dataclass(frozen=True, slots=True)
class Sprite:
    """A drawn figure, to be laid over a picture by `picture * veil / 255 + colour`.

    Attributes:
        colour: (h, w, 3) uint8, BGR, multiplied by its opacity.
        veil: (h, w, 3) uint8, 255 less its opacity.
    """

    colour: Image
    veil: Image


@dataclass(frozen=True, slots=True)
class _Appearance:
    """Clothes and build of a person."""

    shirt: Colour
    trousers: Colour
    hair: Colour
    skin: Colour
    pattern: int
    coat: bool
    long_hair: bool
    bag: int
    girth: float

    @classmethod
    def choose(cls, seed: int, number: int) -> _Appearance:
        """Choose the appearance of a person by number."""
        rng = np.random.default_rng((seed, number, 3))

        def pick(colours: Sequence[Colour]) -> Colour:
            return colours[int(rng.integers(len(colours)))]

        return cls(
            shirt=pick(_CLOTHES),
            trousers=pick(_TROUSERS),
            hair=pick(_HAIR),
            skin=pick(_SKIN),
            pattern=int(rng.integers(4)),
            coat=bool(rng.random() < 0.35),
            long_hair=bool(rng.random() < 0.45),
            bag=int(rng.integers(4)),
            girth=float(rng.uniform(0.9, 1.15)),
        )


def phase_of(steps: float) -> int:
    """The position of the legs, 0 to PHASES - 1, at a distance walked in heights of the person."""
    return int(steps / STRIDE * PHASES) % PHASES


# About a dozen people are in the picture at a time, with twelve positions of the legs; 118 KB each.
@lru_cache(maxsize=160)
def sprite(seed: int, number: int, phase: int, facing: bool) -> Sprite:
    """Draw a person; the same arguments give the same figure.

    Args:
        seed: of the simulation.
        number: of the person.
        phase: position of the legs, from `phase_of`.
        facing: true if the face is visible.
    """
    figure = _Figure(_Appearance.choose(seed, number), facing)
    figure.draw(math.sin(2 * math.pi * phase / PHASES), math.cos(2 * math.pi * phase / PHASES))
    return figure.finish(np.random.default_rng((seed, number, 4)))


class _Figure:
    """A drawing of one person. Coordinates are in heights of the figure, x from its middle, y down from its top."""

    def __init__(self, look: _Appearance, facing: bool) -> None:
        shape = (SPRITE_HEIGHT * _FINE, SPRITE_WIDTH * _FINE)
        self._look = look
        self._facing = facing
        self._picture = np.zeros((*shape, 3), np.uint8)
        self._mask = np.zeros(shape, np.uint8)

    def draw(self, swing: float, lift: float) -> None:
        """Draw the whole person; `swing` and `lift` (-1 … 1) place the legs."""
        look, girth = self._look, self._look.girth
        back_first = (-1.0, 1.0) if swing > 0 else (1.0, -1.0)
        for side in back_first:
            self._leg(side, side * swing, max(0.0, side * lift))
        if look.bag == 1 and self._facing:
            self._polygon([(-0.13, 0.23), (0.13, 0.23), (0.14, 0.45), (-0.14, 0.45)], _darker(look.trousers, 0.8))
        for side in (-1.0, 1.0):
            self._arm(side, -side * swing)
        hem = 0.70 if look.coat else 0.57
        self._torso(hem, girth)
        if look.bag == 1 and not self._facing:
            self._polygon([(-0.1, 0.24), (0.1, 0.24), (0.115, 0.47), (-0.115, 0.47)], _darker(look.trousers, 1.3))
        if look.bag == 2:
            x = 0.17 * girth
            self._limb((x - 0.02, 0.5), (x + 0.01, 0.58), 0.014, _darker(look.shirt, 0.5))
            self._polygon([(x - 0.04, 0.57), (x + 0.06, 0.57), (x + 0.07, 0.71), (x - 0.05, 0.71)], (120, 160, 200))
        self._head()

    def finish(self, rng: np.random.Generator) -> Sprite:
        """Add light and the texture of cloth, and shrink the drawing to a sprite."""
        height, width = self._mask.shape
        cloth = cv2.resize(
            rng.normal(1.0, 0.07, (height // 6, width // 6)).astype(np.float32), (width, height)
        )[:, :, None]  # fmt: skip
        lit = np.clip(self._picture * (_light_from_the_left() * cloth), 0, 255)
        opacity = self._mask[:, :, None].astype(np.float32) / 255
        size = (SPRITE_WIDTH, SPRITE_HEIGHT)
        colour = cv2.resize((lit * opacity).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
        veil = 255 - cv2.resize(self._mask, size, interpolation=cv2.INTER_AREA)
        return Sprite(cast("Image", colour), cast("Image", cv2.merge([veil] * 3)))

    def _leg(self, side: float, forward: float, lifted: float) -> None:
        # From above, a leg put forward ends lower in the picture when the person comes towards the camera.
        reach = 0.05 * forward * (1 if self._facing else -1)
        hip = (side * 0.055, 0.55)
        foot = (side * 0.06, 0.935 + reach - 0.03 * lifted)
        knee = (side * 0.062, 0.74 + reach * 0.4 - 0.015 * lifted)
        dark = _darker(self._look.trousers, 1.0 if forward > 0 else 0.82)
        self._limb(hip, knee, 0.052, dark)
        self._limb(knee, foot, 0.04, dark)
        toe = 0.03 if self._facing else -0.012
        self._limb(foot, (foot[0] + side * 0.012, foot[1] + toe), 0.036, (35, 35, 45))

    def _arm(self, side: float, forward: float) -> None:
        reach = 0.05 * forward * (1 if self._facing else -1)
        shoulder = (side * 0.115 * self._look.girth, 0.245)
        elbow = (side * 0.15 * self._look.girth, 0.39 + reach * 0.4)
        hand = (side * 0.14 * self._look.girth, 0.52 + reach)
        self._limb(shoulder, elbow, 0.036, _darker(self._look.shirt, 0.88))
        self._limb(elbow, hand, 0.03, _darker(self._look.shirt, 0.82))
        self._dot(hand, 0.026, self._look.skin)

    def _torso(self, hem: float, girth: float) -> None:
        look = self._look
        outline = [
            (-0.06, 0.19), (0.06, 0.19), (0.125 * girth, 0.23), (0.105 * girth, 0.42), (0.12 * girth, hem),
            (-0.12 * girth, hem), (-0.105 * girth, 0.42), (-0.125 * girth, 0.23),
        ]  # fmt: skip
        inside = np.zeros_like(self._mask)
        cv2.fillPoly(inside, [self._pixels(outline)], 255, cv2.LINE_AA)
        self._polygon(outline, look.shirt)
        second_colour = _pattern(look.pattern)
        if second_colour is not None:
            self._picture[second_colour & (inside > 0)] = _darker(look.shirt, 0.78 if sum(look.shirt) > 250 else 1.35)
        if look.coat and self._facing:
            self._limb((0.0, 0.21), (0.0, hem), 0.006, _darker(look.shirt, 0.55))

    def _head(self) -> None:
        look = self._look
        self._limb((0.0, 0.15), (0.0, 0.2), 0.04, _darker(look.skin, 0.85))
        if look.long_hair and self._facing:
            for side in (-1.0, 1.0):
                self._limb((side * 0.05, 0.09), (side * 0.062, 0.2), 0.022, look.hair)
        elif look.long_hair:
            self._ellipse((0.0, 0.135), (0.078, 0.115), look.hair)
        self._ellipse((0.0, 0.095), (0.066, 0.082), look.skin if self._facing else look.hair)
        if self._facing:
            # From above, most of a head is hair.
            self._ellipse((0.0, 0.06), (0.068, 0.05), look.hair)
            for side in (-1.0, 1.0):
                self._dot((side * 0.024, 0.115), 0.009, (40, 40, 45))
        else:
            self._ellipse((-0.012, 0.075), (0.04, 0.04), _darker(look.hair, 1.25))

    def _pixels(self, points: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
        return np.array([self._pixel(point) for point in points], np.int32)

    def _pixel(self, point: tuple[float, float]) -> tuple[int, int]:
        tall = SPRITE_HEIGHT * _FINE
        return round(SPRITE_WIDTH * _FINE / 2 + point[0] * tall), round(point[1] * tall)

    def _polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        cv2.fillPoly(self._picture, [self._pixels(points)], colour, cv2.LINE_AA)
        cv2.fillPoly(self._mask, [self._pixels(points)], 255, cv2.LINE_AA)

    def _limb(self, a: tuple[float, float], b: tuple[float, float], radius: float, colour: Colour) -> None:
        width = max(1, round(2 * radius * SPRITE_HEIGHT * _FINE))
        cv2.line(self._picture, self._pixel(a), self._pixel(b), colour, width, cv2.LINE_AA)
        cv2.line(self._mask, self._pixel(a), self._pixel(b), 255, width, cv2.LINE_AA)

    def _ellipse(self, centre: tuple[float, float], radii: tuple[float, float], colour: Colour) -> None:
        axes = (round(radii[0] * SPRITE_HEIGHT * _FINE), round(radii[1] * SPRITE_HEIGHT * _FINE))
        cv2.ellipse(self._picture, self._pixel(centre), axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(self._mask, self._pixel(centre), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)

    def _dot(self, centre: tuple[float, float], radius: float, colour: Colour) -> None:
        self._ellipse(centre, (radius, radius), colour)


@lru_cache(maxsize=1)
def _light_from_the_left() -> NDArray[np.float32]:
    """Factors of brightness, (h, w, 1): brighter at the left and at the top of a figure."""
    across = np.linspace(1.18, 0.74, SPRITE_WIDTH * _FINE, dtype=np.float32)[None, :, None]
    down = np.linspace(1.1, 0.86, SPRITE_HEIGHT * _FINE, dtype=np.float32)[:, None, None]
    return across * down


@lru_cache(maxsize=4)
def _pattern(number: int) -> NDArray[np.bool_] | None:
    """The mask (h, w) of a cloth's second colour: 1 hoops, 2 checks, 3 stripes; None for plain cloth."""
    step = SPRITE_HEIGHT * _FINE // 22
    rows, columns = np.indices((SPRITE_HEIGHT * _FINE, SPRITE_WIDTH * _FINE), dtype=np.int32)
    hoops, stripes = (rows // step) % 2 == 0, (columns // step) % 2 == 0
    return {1: hoops, 2: hoops ^ stripes, 3: (columns // (step * 2)) % 3 == 0}.get(number)


def _darker(colour: Colour, factor: float) -> Colour:
    """Multiply a colour by a factor; above 1 it becomes lighter."""
    b, g, r = (min(255, round(part * factor)) for part in colour)
    return b, g, r
