"""Regions that sort boxes out, beside painted ones: `METRICA_TEST_DATA=… python -m tests.bench.bench_regions`.

Each frame is looked at whole, and with all but the region painted grey. For the people whom the first finds in the
region, the best IoU of the second's boxes is told; and how many boxes of the second match none of the first. Then what
it takes to sort the boxes of one frame out.
"""

from __future__ import annotations

import os
import timeit
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from contracts.area import DetectionArea
from contracts.spec import CameraSpec
from services.detector.backends.protocol import Found, Image
from services.detector.models.loading import open_detector
from services.detector.region_filter import filter_by_region
from tests.detector.scenes import iou

REGION = ((0, 0.25), (0.6, 0.25), (0.6, 1), (0, 1))
"""Its edges run through people's way in both clips."""
CLIPS = {"vtest_480x360.mp4": 20, "one_by_one.mp4": 35}
"""Every how many frames are looked at."""
MODELS = ("person-detection-0200", "yolox_nano")
SURE, GREY = 0.5, 114


def frames(path: Path, step: int) -> Iterator[Image]:
    """Every `step`-th frame."""
    capture = cv2.VideoCapture(str(path))
    for number in range(1, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) + 1):
        if number % step:
            capture.grab()
        else:
            yield np.asarray(capture.read()[1], np.uint8)
    capture.release()


def painted(frame: Image) -> Image:
    """The frame, grey outside of the region."""
    height, width = frame.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(REGION) * [width, height]).astype(np.int32)], 255)
    return np.where(mask[:, :, None] > 0, frame, np.uint8(GREY))


def best(boxes: Found, others: Found) -> list[float]:
    """The best IoU of each sure box with any of the others."""
    sure = boxes.boxes[boxes.scores >= SURE]
    return [max((iou(tuple(box), tuple(other)) for other in others.boxes), default=0.0) for box in sure]


def compare(models: Path, clip: Path, name: str, step: int) -> None:
    """Print a model's row of a clip."""
    spec = CameraSpec(store="s", camera="c", detection=DetectionArea(regions=(REGION,)))
    detector = open_detector(name, folders=[models], cache=models, threads=1)
    kept: list[float] = []
    new = 0
    for frame in frames(clip, step):
        height, width = frame.shape[:2]
        whole, part = (
            filter_by_region(detector.detect(one, "bench"), spec, width, height) for one in (frame, painted(frame))
        )
        kept += best(whole, part)
        new += sum(overlap < SURE for overlap in best(part, whole))
    below = [sum(overlap < bound for overlap in kept) for bound in (0.8, 0.5)]
    print(f"{name} {clip.name}: {len(kept)} people, IoU < 0.8 {below[0]}, < 0.5 {below[1]}; boxes of nobody {new}")


def sort_out(people: int) -> float:
    """Milliseconds for the boxes of one frame; a region of eight corners and two ignored parts."""
    ring = tuple((0.5 + 0.45 * np.cos(turn), 0.5 + 0.45 * np.sin(turn)) for turn in np.arange(8) * np.pi / 4)
    ignore = tuple(((x, 0.1), (x + 0.1, 0.1), (x + 0.1, 0.3), (x, 0.3)) for x in (0.1, 0.8))
    spec = CameraSpec(store="s", camera="c", detection=DetectionArea(regions=(ring,), ignore=ignore, min_height=0.05))
    corners = np.random.default_rng(1).uniform(0, 300, (people, 2)).astype(np.float32)
    found = Found(np.hstack([corners, corners + np.array([40, 120], np.float32)]), np.ones(people, np.float32))
    return min(timeit.repeat(lambda: filter_by_region(found, spec, 960, 540), number=50, repeat=9)) / 50 * 1000


def main() -> None:
    """Measure and print."""
    data = Path(os.environ["METRICA_TEST_DATA"])
    for name in MODELS:
        for clip, step in CLIPS.items():
            compare(data / "models", data / "videos" / clip, name, step)
    for people in (5, 50, 200):
        print(f"{people} boxes: {sort_out(people):.2f} ms")


if __name__ == "__main__":
    main()
