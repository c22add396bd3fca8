"""Position and velocity of people's boxes: one Kalman filter per box coordinate, all tracks at once.

A box is `cx, cy, w, h` in pixels (y down). Each coordinate has a position and a velocity of its own, so that a track is
four independent 2×2 filters and every step is elementwise arithmetic on (N, 4) arrays: no matrix is inverted, and the
result depends on the inputs alone (no BLAS, no threads).

Velocity is an Ornstein-Uhlenbeck process: it wanders, and decays to rest within some `1 / DAMPING` seconds. So a new
track moves like people in general, and a hidden person is expected not far from where they vanished. Lengths are
measured in the person's own size, sqrt(w·h): one set of constants serves a near and a far camera. Time is real seconds:
the filter behaves the same at 5 and at 30 frames per second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAMPING = 0.15
"""Decay rate of an unobserved velocity, per second."""
SPEED_STD = np.array([1.2, 0.8, 0.15, 0.15])
"""Sizes per second of cx, cy, w, h. A walker (1.4 m/s, 1.7 m tall) seen from the side makes 1.3."""
NOISE_STD = np.array([0.06, 0.08, 0.12, 0.12])
"""Sizes: error of a detector's box at a score of 1. At a score of 0 it is twice as large."""
MIN_SIZE = 2.0
"""Pixels: least width and height of a box, also of one that a filter predicts."""


@dataclass(slots=True)
class Motion:
    """The filters of N tracks.

    Attributes:
        position: (N, 4) cx, cy, w, h in pixels.
        velocity: (N, 4) pixels per second.
        var_position: (N, 4) pixels².
        covariance: (N, 4) of position and velocity, pixels² per second.
        var_velocity: (N, 4) pixels² per second².
    """

    position: Floats
    velocity: Floats
    var_position: Floats
    covariance: Floats
    var_velocity: Floats

    @classmethod
    def begin(cls, measured: Floats) -> Motion:
        """Filters of new tracks at (N, 4) cx, cy, w, h, with a velocity of 0 and the variance of people in general."""
        scale = size(measured)
        return cls(
            position=measured.copy(),
            velocity=np.zeros_like(measured),
            var_position=(NOISE_STD * scale) ** 2,
            covariance=np.zeros_like(measured),
            var_velocity=(SPEED_STD * scale) ** 2,
        )

    def __len__(self) -> int:
        return len(self.position)

    def predict(self, seconds: float) -> None:
        """Predict all tracks after some time without an observation.

        `exp(−DAMPING·t)` is approximated by (1 − h) / (1 + h), h = DAMPING·t / 2: within 1 % for the relevant seconds,
        and the same to the last bit on every machine, unlike a library's `exp`.
        """
        half = DAMPING * seconds / 2
        kept, way = (1.0 - half) / (1.0 + half), seconds / (1.0 + half)
        unrest = (1.0 - kept * kept) * (SPEED_STD * size(self.position)) ** 2
        self.position += way * self.velocity
        np.maximum(self.position[:, 2:], MIN_SIZE, out=self.position[:, 2:])
        self.velocity *= kept
        self.var_position += way * (2.0 * self.covariance + way * self.var_velocity) + unrest * (seconds * seconds / 3)
        self.covariance += way * self.var_velocity
        self.covariance *= kept
        self.covariance += unrest * (seconds / 2)
        self.var_velocity *= kept * kept
        self.var_velocity += unrest

    def spread(self) -> Floats:
        """(N, 4) variance, pixels², of the next measured box of each track."""
        return self.var_position + (NOISE_STD * size(self.position)) ** 2

    def correct(self, rows: NDArray[np.intp], measured: Floats, scores: Floats) -> None:
        """Update some of the tracks by their measured boxes.

        A box of a lower score has less weight, as the box of a half hidden person lies beside them (Du et al.,
        GIAOTracker, ICCV Workshops 2021, arXiv:2202.11983, weight the noise by the score in a similar way).

        Args:
            rows: of the tracks.
            measured: (len(rows), 4) cx, cy, w, h in pixels.
            scores: (len(rows),) 0 … 1.
        """
        position, before = self.position[rows], self.var_position[rows]
        covariance = self.covariance[rows]
        noise = (NOISE_STD * (2.0 - scores)[:, None] * size(position)) ** 2
        total = before + noise
        surprise = (measured - position) / total
        self.position[rows] = position + before * surprise
        self.velocity[rows] += covariance * surprise
        self.var_velocity[rows] -= covariance * covariance / total
        self.covariance[rows] = covariance * (noise / total)
        self.var_position[rows] = before * (noise / total)

    def resize(self, x: float, y: float) -> None:
        """Restate everything in pixels of a frame `x` times as wide and `y` times as high."""
        factor = np.array([x, y, x, y])
        self.position *= factor
        self.velocity *= factor
        for variance in (self.var_position, self.covariance, self.var_velocity):
            variance *= factor * factor

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Motion:
        """The filters of some of the tracks."""
        return Motion(
            self.position[rows],
            self.velocity[rows],
            self.var_position[rows],
            self.covariance[rows],
            self.var_velocity[rows],
        )

    def join(self, other: Motion) -> Motion:
        """These filters, then the other's."""
        return Motion(
            np.concatenate([self.position, other.position]),
            np.concatenate([self.velocity, other.velocity]),
            np.concatenate([self.var_position, other.var_position]),
            np.concatenate([self.covariance, other.covariance]),
            np.concatenate([self.var_velocity, other.var_velocity]),
        )


def size(boxes: Floats) -> Floats:
    """(N, 1) size of (N, 4) boxes cx, cy, w, h: the side of the square of the same area, in pixels."""
    side: Floats = np.sqrt(np.maximum(boxes[:, 2:3], MIN_SIZE) * np.maximum(boxes[:, 3:4], MIN_SIZE))
    return side


def centred(corners: Floats) -> Floats:
    """(N, 4) cx, cy, w, h of x1, y1, x2, y2."""
    boxes = np.empty_like(corners)
    extent = np.subtract(corners[:, 2:], corners[:, :2], out=boxes[:, 2:])
    np.add(corners[:, :2], extent / 2, out=boxes[:, :2])
    return boxes


def cornered(boxes: Floats) -> Floats:
    """(N, 4) x1, y1, x2, y2 of cx, cy, w, h."""
    corners, half = np.empty_like(boxes), boxes[:, 2:] / 2
    np.subtract(boxes[:, :2], half, out=corners[:, :2])
    np.add(boxes[:, :2], half, out=corners[:, 2:])
    return corners
