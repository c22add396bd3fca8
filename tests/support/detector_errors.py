"""A real detector's errors, laid over people whose boxes are known: misses, weak scores, jitter, doubles, false boxes.

All is drawn from a seed. A person's luck wanders (a Gauss-Markov process), and the score follows from it by way of the
measured distribution, so that misses come in runs, with weak scores before and after, as they do on footage; who is
covered by somebody nearer draws from a worse one. `tests.bench.bench_detector_errors` measures the figures.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from contracts.events import Box

Quantiles = tuple[float, ...]
"""Least value, evenly spaced quantiles, largest value."""
Four = tuple[float, float, float, float]
"""Of cx, cy, w, h."""

COVERED: Final = (0.3, 0.7)
"""Parts of a box, covered by a nearer person, from which someone is half hidden, and hidden."""


@dataclass(frozen=True, slots=True)
class ErrorPattern:
    """Errors of one detector. Lengths are in person sizes, sqrt(w·h); times in seconds.

    Attributes:
        missed: part of plain, half hidden and hidden people that is not found in a frame.
        scores: of those that are.
        luck: how long a person's luck lasts (the time in which its correlation falls to 1/e).
        jitter: standard deviations of a box around the person, plain and covered.
        jitter_lasts: the same as `luck`, for the jitter.
        doubles: second boxes for one found.
        double_scores: theirs.
        double_lies: how a double differs from the person, on average; most are torsos.
        double_off: standard deviations around that.
        false: boxes in a frame that show nobody.
        false_scores: theirs.
        false_tall: their height, in heights of people.
        false_lasts: how long one stays.
    """

    missed: tuple[float, float, float]
    scores: tuple[Quantiles, Quantiles, Quantiles]
    luck: float
    jitter: tuple[Four, Four]
    jitter_lasts: float
    doubles: float
    double_scores: Quantiles
    double_lies: Four
    double_off: Four
    false: float
    false_scores: Quantiles
    false_tall: float
    false_lasts: float


MEASURED: Final = {
    "person-detection-0200": ErrorPattern(
        missed=(0.043, 0.104, 0.603),
        scores=(
            (0.1, 0.63, 0.89, 0.96, 0.98, 0.99, 1.0, 1.0, 1.0, 1.0, 1.0),
            (0.13, 0.22, 0.52, 0.67, 0.83, 0.91, 0.94, 0.96, 0.97, 0.99, 0.99),
            (0.1, 0.16, 0.2, 0.27, 0.34, 0.5, 0.57, 0.71, 0.81, 0.89, 0.97),
        ),
        luck=0.097,
        jitter=((0.059, 0.04, 0.146, 0.072), (0.078, 0.052, 0.111, 0.123)),
        jitter_lasts=0.086,
        doubles=0.019,
        double_scores=(0.1, 0.1, 0.1, 0.13, 0.14, 0.14, 0.15, 0.17, 0.23, 0.32, 0.38),
        double_lies=(0.099, -0.059, -0.078, -0.076),
        double_off=(0.43, 0.27, 0.611, 0.501),
        false=0.368,
        false_scores=(0.1, 0.12, 0.14, 0.15, 0.16, 0.17, 0.19, 0.21, 0.24, 0.28, 0.6),
        false_tall=0.97,
        false_lasts=1.46,
    ),
    "person-detection-retail-0013": ErrorPattern(
        missed=(0.004, 0.0, 0.362),
        scores=(
            (0.11, 0.95, 0.97, 0.98, 0.99, 0.99, 0.99, 1.0, 1.0, 1.0, 1.0),
            (0.11, 0.35, 0.7, 0.9, 0.94, 0.96, 0.97, 0.97, 0.98, 0.99, 0.99),
            (0.1, 0.11, 0.16, 0.2, 0.24, 0.3, 0.51, 0.62, 0.8, 0.94, 0.98),
        ),
        luck=0.05,
        jitter=((0.059, 0.057, 0.125, 0.083), (0.084, 0.079, 0.095, 0.19)),
        jitter_lasts=0.066,
        doubles=0.014,
        double_scores=(0.1, 0.1, 0.1, 0.1, 0.12, 0.12, 0.12, 0.13, 0.18, 0.23, 0.27),
        double_lies=(0.146, -0.061, -0.194, -0.148),
        double_off=(0.177, 0.058, 0.201, 0.113),
        false=0.034,
        false_scores=(0.11, 0.13, 0.15, 0.18, 0.19, 0.24, 0.25, 0.3, 0.34, 0.36, 0.39),
        false_tall=0.68,
        false_lasts=0.19,
    ),
    "yolox_nano": ErrorPattern(
        missed=(0.047, 0.03, 0.638),
        scores=(
            (0.1, 0.77, 0.81, 0.83, 0.84, 0.86, 0.87, 0.88, 0.89, 0.91, 0.93),
            (0.19, 0.49, 0.64, 0.7, 0.73, 0.76, 0.79, 0.81, 0.83, 0.86, 0.88),
            (0.1, 0.14, 0.17, 0.27, 0.31, 0.46, 0.55, 0.64, 0.69, 0.7, 0.76),
        ),
        luck=0.066,
        jitter=((0.067, 0.047, 0.159, 0.085), (0.088, 0.069, 0.195, 0.181)),
        jitter_lasts=0.089,
        doubles=0.002,
        double_scores=(0.11, 0.12, 0.13, 0.13, 0.14, 0.15, 0.15, 0.16, 0.17, 0.18, 0.18),
        double_lies=(-0.186, -0.036, 0.041, 0.003),
        double_off=(0.011, 0.076, 0.309, 0.218),
        false=0.017,
        false_scores=(0.1, 0.13, 0.16, 0.17, 0.2, 0.22, 0.3, 0.35, 0.37, 0.39, 0.4),
        false_tall=0.54,
        false_lasts=0.11,
    ),
    "yolo11n-int8-openvino": ErrorPattern(
        missed=(0.013, 0.015, 0.655),
        scores=(
            (0.11, 0.66, 0.76, 0.81, 0.83, 0.86, 0.87, 0.89, 0.9, 0.91, 0.93),
            (0.11, 0.22, 0.45, 0.56, 0.64, 0.64, 0.67, 0.7, 0.74, 0.76, 0.8),
            (0.16, 0.19, 0.23, 0.35, 0.37, 0.45, 0.55, 0.58, 0.61, 0.62, 0.65),
        ),
        luck=0.077,
        jitter=((0.054, 0.03, 0.153, 0.06), (0.084, 0.057, 0.141, 0.12)),
        jitter_lasts=0.083,
        doubles=0.002,
        double_scores=(0.12, 0.12, 0.12, 0.12, 0.12, 0.12, 0.12, 0.12, 0.12, 0.12, 0.12),
        double_lies=(0.032, 0.202, -0.452, -0.78),
        double_off=(0.24, 0.282, 0.088, 0.087),
        false=0.009,
        false_scores=(0.1, 0.15, 0.16, 0.18, 0.25, 0.28, 0.3, 0.32, 0.33, 0.36, 0.38),
        false_tall=0.31,
        false_lasts=0.09,
    ),
}
"""By `tests.bench.bench_detector_errors`: 359 people of TUD-Campus in 71 frames, and 1394 frames of `one_by_one`."""


@dataclass(slots=True)
class _Seen:
    """The errors that wander with one person, in standard deviations: the luck, and the box's four coordinates."""

    luck: float
    off: list[float]


@dataclass(slots=True)
class FlawedDetector:
    """A detector that sees the truth as a real one would. Give it every frame, in order.

    Attributes:
        pattern: how it errs.
        size: width and height of the frames, pixels.
        chance: where its errors come from.
    """

    pattern: ErrorPattern
    size: tuple[int, int]
    chance: random.Random
    _people: dict[int, _Seen] = field(default_factory=dict)
    _false: list[tuple[Box, float]] = field(default_factory=list)

    def look(self, people: dict[int, Box], seconds: float) -> tuple[list[Box], list[float]]:
        """The boxes and scores of a frame.

        Args:
            people: the true boxes, x1, y1, x2, y2 in pixels, by person.
            seconds: since the frame before.
        """
        hidden = covered(list(people.values()))
        self._people = {person: seen for person, seen in self._people.items() if person in people}
        found: list[tuple[Box, float]] = []
        for (person, box), part in zip(people.items(), hidden, strict=True):
            found += self._find(person, box, sum(part >= limit for limit in COVERED), seconds)
        found += self._dream(seconds, [box[3] - box[1] for box in people.values()])
        self.chance.shuffle(found)
        return [box for box, _ in found], [score for _, score in found]

    def _find(self, person: int, box: Box, hidden: int, seconds: float) -> list[tuple[Box, float]]:
        """A person's box, none where they are missed, or two."""
        pattern, chance = self.pattern, self.chance
        seen = self._people.get(person)
        if seen is None:
            seen = self._people[person] = _Seen(chance.gauss(0, 1), [chance.gauss(0, 1) for _ in range(4)])
        else:
            seen.luck = self._wander(seen.luck, seconds / pattern.luck)
            seen.off = [self._wander(off, seconds / pattern.jitter_lasts) for off in seen.off]
        rank, missed = (1 + math.erf(seen.luck / math.sqrt(2))) / 2, pattern.missed[hidden]
        if rank < missed:
            return []
        score = at(pattern.scores[hidden], (rank - missed) / (1 - missed))
        found = [(moved(box, seen.off, pattern.jitter[min(hidden, 1)]), score)]
        if chance.random() < pattern.doubles:
            off = [chance.gauss(0, 1) for _ in range(4)]
            double = moved(box, off, pattern.double_off, pattern.double_lies)
            found.append((double, at(pattern.double_scores, chance.random())))
        return found

    def _dream(self, seconds: float, heights: Sequence[float]) -> list[tuple[Box, float]]:
        """Boxes that show nobody: as tall as people are, anywhere, for a while."""
        pattern, chance = self.pattern, self.chance
        stays = math.exp(-seconds / pattern.false_lasts)
        self._false = [one for one in self._false if chance.random() < stays]
        # As many come as go, on average.
        for _ in range(_poisson(chance, pattern.false * (1 - stays))):
            tall = pattern.false_tall * (chance.choice(heights) if heights else self.size[1] / 4)
            x, y = chance.uniform(0, self.size[0]), chance.uniform(0, self.size[1])
            box = (x - tall / 6, y - tall / 2, x + tall / 6, y + tall / 2)
            self._false.append((box, at(pattern.false_scores, chance.random())))
        return [
            (moved(box, [chance.gauss(0, 1) for _ in range(4)], pattern.jitter[0]), score) for box, score in self._false
        ]

    def _wander(self, value: float, lifetimes: float) -> float:
        kept = math.exp(-lifetimes)
        return kept * value + math.sqrt(1 - kept * kept) * self.chance.gauss(0, 1)


def covered(boxes: Sequence[Box]) -> list[float]:
    """The largest part of each box that one nearer person covers; nearer is who stands lower in the picture."""
    parts = []
    for one in boxes:
        area = (one[2] - one[0]) * (one[3] - one[1])
        shared = [
            max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
            * max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
            for other in boxes
            if other[3] > one[3]
        ]
        parts.append(max(shared, default=0.0) / area)
    return parts


def moved(box: Box, off: Sequence[float], spread: Four, mean: Four = (0.0, 0.0, 0.0, 0.0)) -> Box:
    """A box, off by so many standard deviations in cx, cy, w, h from a mean; both are in person sizes."""
    x1, y1, x2, y2 = box
    size = math.sqrt((x2 - x1) * (y2 - y1))
    dx, dy, dw, dh = (size * (lies + by * sigma) for lies, by, sigma in zip(mean, off, spread, strict=True))
    half_width, half_height = max(2.0, x2 - x1 + dw) / 2, max(2.0, y2 - y1 + dh) / 2
    x, y = (x1 + x2) / 2 + dx, (y1 + y2) / 2 + dy
    return (x - half_width, y - half_height, x + half_width, y + half_height)


def at(quantiles: Quantiles, part: float) -> float:
    """The value below which a part of a distribution lies."""
    exact = part * (len(quantiles) - 1)
    i = min(int(exact), len(quantiles) - 2)
    return quantiles[i] + (exact - i) * (quantiles[i + 1] - quantiles[i])


def _poisson(chance: random.Random, mean: float) -> int:
    """Knuth's way; for small means."""
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count
