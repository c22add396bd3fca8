"""From a foreground mask to people: joins the fragments of a body, and splits overlapping people.

Both need the size of a person at each height of the picture; it is learnt from people walking alone:

        ○            the further down the feet,
       ─┼─     ○     the nearer the person,
        │     ─┼─    the larger the silhouette
       ╱ ╲     │
              ╱ ╲
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Self, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from services.detector.backends.protocol import NOBODY, Found
from services.detector.motion.background import Mask

SMALLEST = 0.0008
"""Fraction of the picture below which a silhouette is no person."""
CRUMB = 0.15
"""Fraction of `SMALLEST` below which a blob is not even a fragment of a person."""
UPRIGHT = (1.5, 4.5)
"""Bounds of height divided by width of a person on foot."""
WHOLE, PART, FRAGMENT = 0.9, 0.7, 0.3
"""Scores: of a silhouette of one person's size, of a part of a larger one, and of one that is too small."""
GAP = 0.15
"""Largest gap between two fragments of a body, as a fraction of a person's height."""
WIDE, TALL = 1.45, 1.2
"""Times a person's width or height from which a silhouette may be more than one person."""
WIDE_TWO, TALL_TWO = 1.25, 1.05
"""Times a person's area from which a silhouette that is too wide, or too tall, is two people."""
HIDDEN = 0.9
"""Fraction of each person that is visible in a crowd, on average."""
SAMPLE = 1500
"""Pixels of a crowd, about, that are sampled to locate its people."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A connected part of the mask: its bounding box in pixels, and the number of its pixels."""

    left: int
    top: int
    right: int
    bottom: int
    area: int
    labels: tuple[int, ...]
    """Labels of the connected components that it consists of."""

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    def joined(self, other: Self) -> Blob:
        """Both as one blob."""
        return Blob(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
            self.area + other.area,
            self.labels + other.labels,
        )


@dataclass(frozen=True, slots=True)
class PersonSize:
    """Size of a person's silhouette, in pixels."""

    width: float
    height: float
    area: float


class Scale:
    """Size of people by the row of their feet: the median of the sightings in each band of the picture."""

    BANDS = 12
    REMEMBERED = 15
    """Sightings per band, at most."""
    ENOUGH = 12
    """Sightings in all bands from which sizes are known."""

    def __init__(self, rows: int) -> None:
        self._band = rows / self.BANDS
        self._seen: dict[int, deque[tuple[int, int, int]]] = {}
        self._medians: NDArray[np.float64] | None = None

    @property
    def sightings(self) -> NDArray[np.int32]:
        """The sightings, (N, 4): band, width, height, area."""
        rows = [(band, *sighting) for band, sightings in self._seen.items() for sighting in sightings]
        return np.array(rows, np.int32).reshape(-1, 4)

    def recall(self, sightings: NDArray[np.int32]) -> None:
        """Add saved sightings."""
        for band, width, height, area in sightings.tolist():
            self._remember(band, (width, height, area))

    def learn(self, blob: Blob) -> None:
        """Add a person who walks alone and is wholly in the picture."""
        self._remember(int(blob.bottom / self._band), (blob.width, blob.height, blob.area))

    def _remember(self, number: int, sighting: tuple[int, int, int]) -> None:
        band = self._seen.setdefault(number, deque(maxlen=self.REMEMBERED))
        band.append(sighting)
        if sum(map(len, self._seen.values())) >= self.ENOUGH:
            self._medians = np.array([[n, *np.median(self._seen[n], axis=0)] for n in sorted(self._seen)])

    def at(self, feet: float) -> PersonSize | None:
        """The size of a person with feet at this row; None while there are too few sightings."""
        if self._medians is None:
            return None
        band = feet / self._band - 0.5
        width, height, area = (float(np.interp(band, self._medians[:, 0], self._medians[:, i])) for i in (1, 2, 3))
        return PersonSize(width, height, area)


class Silhouettes:
    """The people in the masks of one camera."""

    def __init__(self, width: int, height: int) -> None:
        self._shape = (width, height)
        self._smallest = SMALLEST * width * height
        self.scale = Scale(height)

    def people(self, mask: Mask) -> Found:
        """Find the people; boxes in pixels of the mask, best first."""
        blobs, labels = self._blobs(mask)
        boxes: list[tuple[int, int, int, int]] = []
        scores: list[float] = []
        for blob in self._joined(blobs):
            if blob.area < self._smallest:
                continue
            size = self.scale.at(blob.bottom)
            if size is not None and (blob.width > WIDE * size.width or blob.height > TALL * size.height):
                parts = _split(blob, np.isin(labels, blob.labels), size)
                boxes += parts
                scores += [PART if len(parts) > 1 else WHOLE] * len(parts)
                continue
            boxes.append((blob.left, blob.top, blob.right, blob.bottom))
            scores.append(FRAGMENT if size is not None and blob.area < 0.35 * size.area else WHOLE)
            if self._alone(blob, size):
                self.scale.learn(blob)
        if not boxes:
            return NOBODY
        order = np.argsort(-np.array(scores), kind="stable")
        return Found(np.array(boxes, np.float32)[order], np.array(scores, np.float32)[order])

    def _blobs(self, mask: Mask) -> tuple[list[Blob], NDArray[np.int32]]:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        blobs = [
            Blob(x, y, x + width, y + height, area, (label,))
            for label, (x, y, width, height, area) in enumerate(stats[:count].tolist())
            if label > 0 and area >= CRUMB * self._smallest
        ]
        return blobs, cast("NDArray[np.int32]", labels)

    def _joined(self, blobs: list[Blob]) -> list[Blob]:
        """Join blobs above one another that together are no larger than a person; begins with the largest."""
        left = sorted(blobs, key=lambda blob: (-blob.area, blob.left, blob.top))
        people = []
        while left:
            person = left.pop(0)
            at = 0
            while at < len(left):
                if self._belong(person, left[at]):
                    person, at = person.joined(left.pop(at)), 0
                else:
                    at += 1
            people.append(person)
        return people

    def _belong(self, blob: Blob, other: Blob) -> bool:
        both = blob.joined(other)
        size = self.scale.at(both.bottom)
        shared = min(blob.right, other.right) - max(blob.left, other.left)
        gap = max(blob.top, other.top) - min(blob.bottom, other.bottom)
        if size is None:
            upright = both.height >= UPRIGHT[0] * both.width
            return upright and shared >= 0.5 * min(blob.width, other.width) and gap <= GAP * both.height
        fits = both.width <= 1.2 * size.width and both.height <= 1.15 * size.height
        return fits and shared >= 0.3 * min(blob.width, other.width) and gap <= GAP * size.height

    def _alone(self, blob: Blob, size: PersonSize | None) -> bool:
        width, height = self._shape
        inside = blob.left > 0 and blob.top > 0 and blob.right < width and blob.bottom < height
        upright = UPRIGHT[0] <= blob.height / blob.width <= UPRIGHT[1]
        return inside and upright and (size is None or blob.area > 0.6 * size.area)


def _split(blob: Blob, pixels: NDArray[np.bool_], size: PersonSize) -> list[tuple[int, int, int, int]]:
    """Boxes of the people in a silhouette that is too large for one.

    Lloyd's algorithm (k-means) over the silhouette's pixels, with x in widths and y in heights of a person.
    """
    count = round(blob.area / (HIDDEN * size.area))
    # Arms and bags can make a person wider, but not taller.
    if blob.area > (TALL_TWO if blob.height > TALL * size.height else WIDE_TWO) * size.area:
        count = max(count, 2)
    if count < 2:
        return [(blob.left, blob.top, blob.right, blob.bottom)]
    rows, columns = np.nonzero(pixels[blob.top : blob.bottom, blob.left : blob.right])
    points = np.stack([columns / size.width, rows / size.height], axis=1)
    along = points[:, int(np.argmax(np.ptp(points, axis=0)))]
    ranked = points[np.argsort(along, kind="stable")]
    middles = np.array([part.mean(axis=0) for part in np.array_split(ranked, count)])
    sample = points[:: max(1, len(points) // SAMPLE)]
    for _ in range(8):
        nearest = _nearest(sample, middles)
        middles = np.array(
            [sample[nearest == k].mean(axis=0) if (nearest == k).any() else middles[k] for k in range(count)]
        )
    nearest = _nearest(points, middles)
    boxes = []
    for k in range(count):
        mine = nearest == k
        if mine.sum() < 0.3 * size.area:
            continue
        x, y = columns[mine] + blob.left, rows[mine] + blob.top
        boxes.append((int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1))
    return boxes


def _nearest(points: NDArray[np.float64], middles: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the nearest middle for each point."""
    # |p - m|² without |p|², which is the same for all m.
    return cast("NDArray[np.intp]", ((middles**2).sum(axis=1) - 2 * points @ middles.T).argmin(axis=1))
