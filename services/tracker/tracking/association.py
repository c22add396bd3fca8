"""Association: the cost of a pair of a track and a box, and the assignment of least cost.

The cost of a pair is the negative log-likelihood of the box under the track's filter, lengths in sizes of the person
(see `kalman`): ½·Σ(z − x)²/S + ½·log det S. The first term prefers a near box; the second prefers a track of certain
position to one that has been lost for a second and could be anywhere. A pair that costs more than the limit is less
likely than a new person.
"""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray

from services.tracker.tracking.kalman import Floats, Motion, size

SHAPE_CAP = 12.0
"""Most that a box's shape adds to the squared distance, as a shelf that hides the legs halves a person's box."""

IMPOSSIBLE = 1e6
"""Added to the limit, as the cost of pairs above it."""

Indices = NDArray[np.intp]


def costs(motion: Motion, measured: Floats) -> Floats:
    """(N, M) cost of each pair of N tracks and M boxes cx, cy, w, h."""
    spread = motion.spread()
    squared: Floats = motion.position.T[:, :, None] - measured.T[:, None, :]
    np.square(squared, out=squared)
    squared *= (1.0 / spread).T[:, :, None]
    shape: Floats = squared[2]
    shape += squared[3]
    np.minimum(shape, SHAPE_CAP, out=shape)
    shape += squared[0]
    shape += squared[1]
    shape += _log_volume(motion, spread)[:, None]
    shape *= 0.5
    return shape


def _log_volume(motion: Motion, spread: Floats) -> Floats:
    """(N,) log det S, lengths in sizes of the person."""
    volume = spread / size(motion.position) ** 2
    return np.log(volume[:, 0] * volume[:, 1] * volume[:, 2] * volume[:, 3])


def assign(cost: Floats, limit: float) -> tuple[Indices, Indices]:
    """The assignment of rows to columns of least total cost, without pairs that cost more than the limit.

    Most people stand apart: a row and a column with no other possible partner are a pair. Only the rest goes to the
    solver (Jonker-Volgenant).

    Returns:
        rows and columns of the pairs.
    """
    possible = cost <= limit
    if possible.size == 1:  # one track and one box, the most frequent case
        rows, columns = possible.nonzero()
        return rows, columns
    by_row, by_column = possible.sum(axis=1), possible.sum(axis=0)
    plain = possible & (by_row == 1)[:, None] & (by_column == 1)
    rows, columns = np.nonzero(plain)
    hard_rows, hard_columns = np.nonzero(by_row - plain.sum(axis=1))[0], np.nonzero(by_column - plain.sum(axis=0))[0]
    if len(hard_rows) == 0:
        return rows, columns
    rest = np.ix_(hard_rows, hard_columns)
    part = np.where(possible[rest], cost[rest], limit + IMPOSSIBLE)
    _, column_of, _ = lap.lapjv(part - part.min(), extend_cost=True, cost_limit=limit - part.min())
    paired = np.nonzero(column_of >= 0)[0]
    return np.concatenate([rows, hard_rows[paired]]), np.concatenate([columns, hard_columns[column_of[paired]]])


def overlaps(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The overlaps of (N, 4) and (M, 4) boxes x1, y1, x2, y2.

    Returns:
        (N, M) intersection over union, and intersection over the smaller of the two.
    """
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b))), np.zeros((len(a), len(b)))
    common = _common(a, b, 0) * _common(a, b, 1)
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    union = area_a[:, None] + area_b[None, :] - common
    smaller = np.minimum(area_a[:, None], area_b[None, :])
    return common / np.maximum(union, 1e-9), common / np.maximum(smaller, 1e-9)


def _common(a: Floats, b: Floats, axis: int) -> Floats:
    """(N, M) length that the boxes share on an axis."""
    extent: Floats = np.minimum.outer(a[:, axis + 2], b[:, axis + 2]) - np.maximum.outer(a[:, axis], b[:, axis])
    return np.maximum(extent, 0.0, out=extent)
