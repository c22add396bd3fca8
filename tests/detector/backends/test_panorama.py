"""A panorama is looked at in parts of the shape that a network knows."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detector.backends.panorama import TRAINED, detect_in_parts, is_panorama, parts
from services.detector.backends.protocol import Found, Image
from tests.cli.command import metrica

HEIGHT, WIDTH = 90, 640
FRAME = np.broadcast_to(np.arange(WIDTH, dtype=np.uint16).view(np.uint8).reshape(1, WIDTH, 2), (HEIGHT, WIDTH, 2))
"""Each column says where it is."""


def found(people: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The left and right edges of who is found, where a network finds all that it is shown of these people."""

    def look(picture: Image) -> Found:
        left = int(picture[0, 0].copy().view(np.uint16)[0])
        edges = [(max(x1 - left, 0), min(x2 - left, picture.shape[1])) for x1, x2 in people]
        seen = [(x1, 10.0, x2, 80.0) for x1, x2 in edges if x2 - x1 > 2]
        return Found(np.array(seen, np.float32).reshape(-1, 4), np.full(len(seen), 0.9, np.float32))

    boxes = detect_in_parts(FRAME, look).boxes
    return sorted((float(x1), float(x2)) for x1, _, x2, _ in boxes)


@pytest.mark.parametrize("size", [(640, 360), (640, 480), (360, 640), (960, 405), (852, 480)])
def test_usual_pictures_are_none(size: tuple[int, int]) -> None:
    assert not is_panorama(*size)


@pytest.mark.parametrize("size", [(640, 1), (4000, 1), (8000, 100)])
def test_a_strip_of_pixels_is_none_and_costs_one_inference(size: tuple[int, int]) -> None:
    assert not is_panorama(*size)


def test_the_widest_takes_few_inferences() -> None:
    size = (7680, 540)
    assert is_panorama(*size)
    assert len(parts(*size)) <= 15


@given(height=st.integers(20, 400), shape=st.floats(2.7, 12))
def test_parts_cover_the_frame_and_overlap_by_half(height: int, shape: float) -> None:
    width, wide = round(height * shape), round(TRAINED * height)
    found = parts(width, height)

    assert (found[0][0], found[-1][1]) == (0, width)
    assert {end - begin for begin, end in found} == {wide}
    assert all(end - begin >= wide / 2 - 1 for (_, end), (begin, _) in pairwise(found))


@given(x=st.floats(3, WIDTH - 73), wide=st.floats(10, 70))
def test_whoever_is_cut_off_by_a_part_is_found_whole_and_once(x: float, wide: float) -> None:
    (edges,) = found([(x, x + wide)])

    assert edges == pytest.approx((x, x + wide), abs=0.01)


def test_whoever_is_cut_off_by_the_picture_is_found() -> None:
    assert found([(-20, 20), (620, 660)]) == [(0, 20), (620, 640)]


def test_nobody_is_nobody() -> None:
    assert found([]) == []


@pytest.mark.footage
def test_one_who_walks_towards_their_mirror_image_counts_once(footage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICA_MODELS", str(footage / "models"))
    path = footage / "field" / "mirror.mp4"

    counted = json.loads(metrica("count", path, "--line", "0.36,0,0.36,1", "--in", "left", "--json").out)

    assert (counted["in"], counted["out"]) == (1, 0)
