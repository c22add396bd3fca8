"""Frames per second through the ultralytics backend, by batch: `python -m tests.bench.bench_ultralytics WEIGHTS.pt`.

Noise of 768×432, so that no time goes into decoding; the median of the rounds is printed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from contracts.events import Model
from services.detector.ultralytics_backend import UltralyticsDetector

ROUNDS = 9
BATCHES = (1, 4, 16)
FRAME = np.random.default_rng(1).integers(0, 255, (432, 768, 3), np.uint8)


def measure(detector: UltralyticsDetector, batch: int) -> float:
    """Frames per second of one round; copying to and from the device is included."""
    started = time.perf_counter()
    detector.detect_batch([FRAME] * batch)
    return batch / (time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("weights", type=Path)
    arguments.add_argument("--device")
    arguments.add_argument("--precision", default="f32")
    given = arguments.parse_args()
    model = Model(name=given.weights.stem, precision=given.precision)
    detector = UltralyticsDetector(given.weights, model, device=given.device)
    for batch in BATCHES:
        measure(detector, batch)  # the first of a size plans its memory
        rates = [measure(detector, batch) for _ in range(ROUNDS)]
        print(f"{detector.model.precision}, {batch:2} a batch: {statistics.median(rates):7,.1f} frames/s")


if __name__ == "__main__":
    main()
