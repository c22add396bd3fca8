"""Which box belongs to which track.

The cost of a pair is the negative log-likelihood that the track's filter gives to the box, lengths in sizes of the
person (see `kalman`): ½·Σ(z − x)²/S + ½·log det S. The first term asks for a near box; the second lets a track that
knows where it is go before one that has been lost for a second and could be anywhere. A pair that costs more than the
limit is less likely than somebody new.
"""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray

from services.tracker.kalman import Floats, Motion, size

SHAPE_CAP = 6.0
"""Most that a box's shape adds to the squared distance: a shelf that hides the legs halves the box, not the person."""

Indices = NDArray[np.intp]


def costs(motion: Motion, measured: Floats) -> Floats:
    """(N, M) cost of pairing each of N tracks with each of M boxes cx, cy, w, h."""
    spread = motion.spread()
    weight = 1.0 / spread
    squared: Floats = np.empty((4, len(motion), len(measured)))
    for axis in range(4):
        np.subtract.outer(motion.position[:, axis], measured[:, axis], out=squared[axis])
    np.square(squared, out=squared)
    squared *= weight.T[:, :, None]
    shape: Floats = squared[2]
    shape += squared[3]
    np.minimum(shape, SHAPE_CAP, out=shape)
    shape += squared[0]
    shape += squared[1]
    shape += np.log(np.prod(spread / size(motion.position) ** 2, axis=1))[:, None]
    shape *= 0.5
    return shape


def assign(cost: Floats, limit: float) -> tuple[Indices, Indices]:
    """The cheapest pairing of rows and columns, without pairs that cost more than the limit.

    Returns:
        rows, columns: the pairs, by row.
    """
    possible = cost <= limit
    by_row, by_column = possible.sum(axis=1), possible.sum(axis=0)
    alone = possible & (by_row == 1)[:, None] & (by_column == 1)[None, :]
    rows, columns = np.nonzero(alone)
    hard_rows = np.nonzero((by_row > 0) & ~alone.any(axis=1))[0]
    if len(hard_rows) == 0:
        return rows, columns
    hard_columns = np.nonzero((by_column > 0) & ~alone.any(axis=0))[0]
    part = cost[np.ix_(hard_rows, hard_columns)]
    part = np.where(part <= limit, part, limit + 1e6)
    shift = min(0.0, float(part.min()))
    found, _ = lap.lapjv(part - shift, extend_cost=True, cost_limit=limit - shift, return_cost=False)
    paired = found >= 0
    rows = np.concatenate([rows, hard_rows[paired]])
    columns = np.concatenate([columns, hard_columns[found[paired]]])
    order = np.argsort(rows, kind="stable")
    return rows[order], columns[order]


def overlaps(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """How much (N, 4) and (M, 4) boxes x1, y1, x2, y2 overlap.

    Returns:
        (N, M) intersection over union, and intersection over the smaller of the two.
    """
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    extent = np.minimum(a[:, None, 2:], b[None, :, 2:]) - corner
    common = np.prod(np.maximum(extent, 0.0), axis=2)
    area_a, area_b = np.prod(a[:, 2:] - a[:, :2], axis=1), np.prod(b[:, 2:] - b[:, :2], axis=1)
    union = area_a[:, None] + area_b[None, :] - common
    smaller = np.minimum(area_a[:, None], area_b[None, :])
    return common / np.maximum(union, 1e-9), common / np.maximum(smaller, 1e-9)
