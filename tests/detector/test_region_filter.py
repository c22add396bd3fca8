"""Detections are filtered by region: by place, by the point that counts, and by size."""

from __future__ import annotations

import numpy as np
import pytest

from contracts.area import DetectionArea, Polygon
from contracts.spec import Anchor, CameraSpec, CountingLine
from services.detector.backends.protocol import NOBODY, Found
from services.detector.region_filter import filter_by_region

WIDTH, HEIGHT = 200, 100
TOP: Polygon = ((0, 0), (1, 0), (1, 0.5), (0, 0.5))
BOTTOM: Polygon = ((0, 0.5), (1, 0.5), (1, 1), (0, 1))
STANDING = (90.0, 20.0, 110.0, 70.0)
"""Whose middle is in the upper half of the picture, and whose feet are in the lower."""


def line(anchor: Anchor, name: str = "line") -> CountingLine:
    return CountingLine(id=name, x1=0.5, y1=0, x2=0.5, y2=1, anchor=anchor)


def seen(area: DetectionArea, *boxes: tuple[float, ...], anchors: tuple[Anchor, ...] = ()) -> list[tuple[float, ...]]:
    lines = tuple(line(anchor, anchor) for anchor in anchors)
    spec = CameraSpec(store="shop", camera="door", detection=area, lines=lines)
    scores = np.linspace(0.9, 0.3, len(boxes), dtype=np.float32)
    found = filter_by_region(Found(np.array(boxes, np.float32).reshape(-1, 4), scores), spec, WIDTH, HEIGHT)
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert found.boxes.shape == (len(found.scores), 4)
    return [tuple(box) for box in found.boxes.tolist()]


def test_everybody_unless_the_camera_says_otherwise() -> None:
    found = Found(np.array([STANDING, (0, 0, 1, 1)], np.float32), np.array([0.9, 0.1], np.float32))
    assert filter_by_region(found, CameraSpec(store="shop", camera="door"), WIDTH, HEIGHT) is found


@pytest.mark.parametrize(
    ("area", "anchors", "kept"),
    [
        pytest.param(DetectionArea(regions=(TOP,)), (), True, id="the middle, where there is no line"),
        pytest.param(DetectionArea(regions=(TOP,)), (Anchor.CENTER,), True, id="the middle, which counts"),
        pytest.param(DetectionArea(regions=(TOP,)), (Anchor.FOOT,), False, id="not the feet, which count"),
        pytest.param(DetectionArea(regions=(BOTTOM,)), (Anchor.FOOT,), True, id="the feet, which count"),
        pytest.param(DetectionArea(regions=(BOTTOM,)), (Anchor.CENTER,), False, id="not the middle, which counts"),
        pytest.param(DetectionArea(regions=(TOP,)), (Anchor.FOOT, Anchor.CENTER), True, id="either, where both count"),
        pytest.param(DetectionArea(ignore=(TOP,)), (Anchor.CENTER,), False, id="the middle is ignored"),
        pytest.param(DetectionArea(ignore=(TOP,)), (Anchor.FOOT,), True, id="the feet are not ignored"),
    ],
)
def test_a_person_is_where_the_point_is_that_crosses_the_lines(
    area: DetectionArea, anchors: tuple[Anchor, ...], kept: bool
) -> None:
    assert seen(area, STANDING, anchors=anchors) == ([STANDING] if kept else [])


def test_whose_feet_the_pictures_edge_cuts_off_stands_in_a_region_that_reaches_up_to_it() -> None:
    cut = (0.0, 50.0, 20.0, 100.0)
    assert seen(DetectionArea(regions=(BOTTOM,)), cut, anchors=(Anchor.FOOT,)) == [cut]


def test_who_is_smaller_than_the_smallest_is_not_seen_however_broad() -> None:
    tall, just, small = (0.0, 0.0, 5.0, 60.0), (0.0, 0.0, 5.0, 25.0), (0.0, 0.0, 150.0, 24.0)
    assert seen(DetectionArea(min_height=0.25), tall, small, just) == [tall, just]


def test_the_others_keep_their_order_their_scores_and_every_bit() -> None:
    boxes = np.random.default_rng(3).uniform(0, 90, (40, 4)).astype(np.float32)
    boxes[:, 2:] += boxes[:, :2] + 1
    found = Found(boxes, np.sort(np.random.default_rng(4).uniform(0.1, 1, 40).astype(np.float32))[::-1])
    spec = CameraSpec(store="shop", camera="door", detection=DetectionArea(regions=(TOP,)))
    rest = filter_by_region(found, spec, WIDTH, HEIGHT)
    inside = (boxes[:, 1] + boxes[:, 3]) / 2 <= HEIGHT / 2
    assert 0 < len(rest) < 40
    np.testing.assert_array_equal(rest.boxes, boxes[inside])
    np.testing.assert_array_equal(rest.scores, found.scores[inside])


def test_nobody_stays_nobody() -> None:
    spec = CameraSpec(store="shop", camera="door", detection=DetectionArea(regions=(TOP,), min_height=0.5))
    assert len(filter_by_region(NOBODY, spec, WIDTH, HEIGHT)) == 0
