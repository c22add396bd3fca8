"""Real models on real frames: the people are found where they are, and the same with any number of threads."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from services.detector.backends.protocol import Image
from services.detector.models.loading import open_detector
from tests.detector.scenes import iou

pytestmark = pytest.mark.footage

MODELS = ["person-detection-0200", "person-detection-retail-0013", "yolox_nano", "yolo11n-int8-openvino"]

Boxes = list[tuple[float, float, float, float]]

# Drawn by hand around each person.
SHOP: dict[int, Boxes] = {150: [(388, 15, 511, 393)], 400: [(383, 5, 543, 383)]}
CAMPUS: dict[int, Boxes] = {
    100: [(218, 125, 239, 172), (235, 111, 256, 160), (309, 92, 324, 138), (322, 96, 338, 138), (369, 97, 386, 146)]
}


@cache
def frame(clip: Path, number: int) -> Image:
    """A frame of a clip, read from the beginning: what a seek gives differs between decoders."""
    capture = cv2.VideoCapture(str(clip))
    for _ in range(number):
        capture.grab()
    read, picture = capture.read()
    capture.release()
    assert read, f"{clip} has no frame {number}"
    return np.asarray(picture, np.uint8)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("number", SHOP)
def test_one_person_in_a_shop_is_found_once(model: str, number: int, footage: Path) -> None:
    picture = frame(footage / "videos" / "one_by_one.mp4", number)
    found = open_detector(model, folders=[footage / "models"], cache=footage / "none").detect(picture, "shop")
    assert (found.scores > 0.5).sum() == 1
    assert iou(tuple(found.boxes[0]), SHOP[number][0]) > 0.75


@pytest.mark.parametrize("model", MODELS)
def test_everybody_on_the_campus_is_found_though_some_only_weakly(model: str, footage: Path) -> None:
    picture = frame(footage / "videos" / "vtest_480x360.mp4", 100)
    found = open_detector(model, folders=[footage / "models"], cache=footage / "none").detect(picture, "campus")
    for person in CAMPUS[100]:
        assert max(iou(tuple(box), person) for box in found.boxes) > 0.6, person


@pytest.mark.parametrize("model", MODELS)
def test_at_f32_any_number_of_threads_gives_the_same_bits(model: str, footage: Path) -> None:
    one, two = (
        open_detector(model, folders=[footage / "models"], cache=footage / "none", threads=threads)
        for threads in (1, 2)
    )
    for clip, number in (("one_by_one.mp4", 150), ("one_by_one.mp4", 400), ("vtest_480x360.mp4", 100)):
        picture = frame(footage / "videos" / clip, number)
        alone, together = one.detect(picture, clip), two.detect(picture, clip)
        assert alone.boxes.tobytes() == together.boxes.tobytes()
        assert alone.scores.tobytes() == together.scores.tobytes()
