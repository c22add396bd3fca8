"""The rules that every detector keeps, whatever is behind it: one suite, every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from contracts.events import Model
from services.detector.backends.heads import DetectionHead
from services.detector.backends.openvino import OpenVinoDetector
from services.detector.backends.output_layout import OutputLayout
from services.detector.backends.protocol import LOWEST_SCORE, Detector, Found, Image
from services.detector.backends.ultralytics import UltralyticsDetector
from services.detector.models.loading import open_detector
from services.detector.motion.detector import MotionDetector
from tests.detector import networks, untrained
from tests.detector.scenes import Scene
from tests.detector.untrained import needs_extra

ROWS: networks.Rows = [[20, 40, 30, 90, 0, 0.9], [50, 20, 10, 30, 0, 0.3], [60, 60, 60, 60, 0, 0.11]]
"""Two of them reach over the edge of the input."""
F32 = Model(name="told", sha256="0" * 64, precision="f32")
FRAMES: dict[str, Image] = {
    "one pixel": np.zeros((1, 1, 3), np.uint8),
    "one row": np.zeros((1, 640, 3), np.uint8),
    "one column": np.zeros((480, 1, 3), np.uint8),
    "black": np.zeros((360, 640, 3), np.uint8),
    "grey": np.full((360, 640, 3), 128, np.uint8),
    "noise": np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8),
    "4K": np.full((2160, 3840, 3), 90, np.uint8),
    "upright": np.full((640, 360, 3), 90, np.uint8),
    "a view into a larger picture": np.zeros((100, 100, 6), np.uint8)[10:90, 20:80, ::2],
}

Make = Callable[[], Detector]


def _told(head: DetectionHead) -> Callable[[Path], Detector]:
    corners = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2, label, score) for x, y, w, h, label, score in ROWS]
    answers = {
        DetectionHead.SSD: networks.ssd(
            [[0, c, s, x1 / 64, y1 / 64, x2 / 64, y2 / 64] for x1, y1, x2, y2, c, s in corners]
        ),
        DetectionHead.YOLO: networks.yolo(ROWS, 64),
        DetectionHead.YOLOX: networks.yolox(ROWS, 64),
        DetectionHead.YOLO_END_TO_END: np.array([[[*box, score, label] for *box, label, score in corners]], np.float32),
    }
    return lambda folder: OpenVinoDetector(
        networks.save(folder / f"{head}.xml", answers[head]), F32, layout=OutputLayout(head=head), threads=1
    )


def _real(name: str) -> Callable[[Path], Detector]:
    return lambda models: open_detector(name, folders=[models], cache=models / "none", threads=1)


ANYWHERE: dict[str, Callable[[Path], Detector]] = {"motion": lambda _: MotionDetector()} | {
    f"openvino {head}": _told(head) for head in DetectionHead
}
ANYWHERE["ultralytics"] = lambda folder: UltralyticsDetector(untrained.save(folder / "untrained.pt"), F32, threads=1)
REAL = ["person-detection-0200", "person-detection-retail-0013", "yolox_nano"]
STATELESS = [
    *(f"openvino {head}" for head in DetectionHead),
    pytest.param("ultralytics", marks=needs_extra),
    *(pytest.param(name, marks=pytest.mark.footage) for name in REAL),
]


@pytest.fixture(params=["motion", *STATELESS])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Opens the detector under test, anew at each call."""
    name: str = request.param
    if name in ANYWHERE:
        yield lambda: ANYWHERE[name](tmp_path)
    else:
        models: Path = request.getfixturevalue("footage") / "models"
        yield lambda: _real(name)(models)


def test_whatever_it_is_shown_boxes_lie_in_the_frame_and_scores_between_floor_and_1(make: Make) -> None:
    detector = make()
    for what, frame in FRAMES.items():
        for _ in range(2):
            _check(detector.detect(frame, what), frame, what)


def test_it_names_the_weights_that_count(make: Make) -> None:
    model = make().model
    assert model.name
    assert bool(model.sha256) == bool(model.precision), "weights have a sum and a precision; motion has neither"


def test_the_frame_is_left_as_it_was(make: Make) -> None:
    frame = FRAMES["noise"].copy()
    make().detect(frame, "camera")
    np.testing.assert_array_equal(frame, FRAMES["noise"])


def test_two_of_a_kind_see_the_same_in_the_same_frames(make: Make) -> None:
    one, other = make(), make()
    scene = Scene()
    before = scene.empty(25) if one.stateful else []
    for frame in [*before, *(scene.frame((60 + 30 * i, 200)) for i in range(4))]:
        first, second = one.detect(frame, "camera"), other.detect(frame, "camera")
        np.testing.assert_array_equal(first.boxes, second.boxes)
        np.testing.assert_array_equal(first.scores, second.scores)


@pytest.mark.parametrize("make", STATELESS, indirect=True)
def test_a_stateless_one_sees_the_same_whatever_it_saw_before(make: Make) -> None:
    detector = make()
    assert not detector.stateful
    before = detector.detect(FRAMES["noise"], "camera")
    for frame in FRAMES.values():
        detector.detect(frame, "camera")
    after = detector.detect(FRAMES["noise"], "camera")
    np.testing.assert_array_equal(before.boxes, after.boxes)
    np.testing.assert_array_equal(before.scores, after.scores)


def test_streams_do_not_touch_each_other(make: Make) -> None:
    shared, alone = make(), make()
    scene = Scene()
    for i in range(30 if shared.stateful else 3):
        frame = scene.frame((40 + 8 * i, 200))
        shared.detect(FRAMES["noise"], "another camera")
        found, expected = shared.detect(frame, "camera"), alone.detect(frame, "camera")
        np.testing.assert_array_equal(found.boxes, expected.boxes)


def _check(found: Found, frame: Image, what: str) -> None:
    height, width = frame.shape[:2]
    assert found.boxes.dtype == found.scores.dtype == np.float32, what
    assert found.boxes.shape == (len(found), 4), what
    x1, y1, x2, y2 = found.boxes.T
    assert ((x1 >= 0) & (x1 < x2) & (x2 <= width)).all(), what
    assert ((y1 >= 0) & (y1 < y2) & (y2 <= height)).all(), what
    assert ((found.scores >= LOWEST_SCORE) & (found.scores <= 1)).all(), what
    assert (np.diff(found.scores) <= 0).all(), what
