"""Milliseconds of the tracker for a frame, by the number of people in it: `python -m tests.bench.bench_tracker`.

People stand on a grid, drift at their own pace, and are given in another order each frame. The first frames, in which
all tracks begin, are left out; of the rest the median is printed, and the quickest: what the machine's other work adds
is not ours.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from services.tracker.tracking.tracker import Tracker
from tests.tracker.scenes import box_at

FRAMES, WARM_UP = 240, 20
PEOPLE = (10, 50, 200)


def measure(people: int) -> list[float]:
    """Milliseconds of each frame."""
    chance, tracker = np.random.default_rng(0), Tracker()
    grid = np.array([(60 + 90 * (n % 20), 100 + 170 * (n // 20)) for n in range(people)], np.float64)
    drift, scores = chance.normal(0, 20, grid.shape), np.full(people, 0.8)
    times: list[float] = []
    for frame in range(FRAMES):
        places = grid + drift * frame / 25 + chance.normal(0, 1, grid.shape)
        boxes = np.array([box_at(x, y) for x, y in chance.permutation(places)])
        started = time.perf_counter()
        tracker.step(boxes, scores, 0.04)
        times.append((time.perf_counter() - started) * 1000)
    return times[WARM_UP:]


def main() -> None:
    """Measure and print."""
    print("people   median ms   quickest ms")
    for people in PEOPLE:
        times = measure(people)
        print(f"{people:6} {statistics.median(times):11.2f} {min(times):13.2f}")


if __name__ == "__main__":
    main()
