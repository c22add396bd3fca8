"""Frames per second through the ultralytics backend, by batch: `python -m tests.bench.bench_ultralytics WEIGHTS.pt`.

Noise of 768×432, so that no time goes into decoding; what is printed is the median of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from contracts.events import Model
from services.detector.backends.ultralytics import UltralyticsDetector

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
    arguments.add_argument("--half", action="store_true", help="f16, on a GPU")
    arguments.add_argument("--batch", type=int, nargs="+", default=BATCHES, help="frames looked at together")
    given = arguments.parse_args()
    model = Model(name=given.weights.stem, precision="f16" if given.half else "f32")
    detector = UltralyticsDetector(given.weights, model, device=given.device)
    print(f"{given.weights.name} on {given.device or 'the default device'}; the service would take {detector.batch}")
    for batch in given.batch:
        measure(detector, batch)  # the first of a size plans its memory
        rates = [measure(detector, batch) for _ in range(ROUNDS)]
        rate = statistics.median(rates)
        print(f"{detector.model.precision}, {batch:2} a batch: {rate:7,.1f} frames/s, {1000 / rate:6.2f} ms a frame")


if __name__ == "__main__":
    main()
