"""A frame's place in the network's input, to the pixel, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detector.backends.letterbox import GREY, FitMode, Placement

sides = st.integers(1, 5000)


@pytest.mark.parametrize(
    ("fit", "frame", "into", "place"),
    [
        pytest.param(FitMode.STRETCH, (768, 432), (256, 256), (0, 0, 256, 256), id="stretched over everything"),
        pytest.param(FitMode.CORNER, (768, 432), (416, 416), (0, 0, 416, 234), id="top left, grey below"),
        pytest.param(FitMode.CORNER, (480, 360), (416, 416), (0, 0, 416, 312), id="a part of a pixel is cut off"),
        pytest.param(FitMode.CORNER, (333, 777), (416, 416), (0, 0, 178, 416), id="178.29 wide becomes 178"),
        pytest.param(FitMode.CENTRE, (1280, 720), (640, 640), (0, 140, 640, 360), id="in the middle"),
        pytest.param(FitMode.CENTRE, (500, 375), (640, 640), (0, 80, 640, 480), id="enlarged"),
        pytest.param(FitMode.CENTRE, (640, 479), (640, 640), (0, 80, 640, 479), id="the odd grey row is below"),
        pytest.param(FitMode.CENTRE, (640, 360), (640, 384), (0, 12, 640, 360), id="into a wide input"),
        pytest.param(FitMode.CENTRE, (1, 4000), (640, 640), (319, 0, 1, 640), id="at least one pixel wide"),
    ],
)
def test_a_frame_lies_where_the_training_put_it(
    fit: FitMode, frame: tuple[int, int], into: tuple[int, int], place: tuple[int, int, int, int]
) -> None:
    placement = Placement.of(frame, into, fit)
    assert (placement.left, placement.top, placement.width, placement.height) == place


@given(st.sampled_from(FitMode), sides, sides, st.sampled_from([(256, 256), (416, 416), (640, 384), (544, 320)]))
def test_the_corners_of_its_place_are_the_corners_of_the_frame(
    fit: FitMode, width: int, height: int, into: tuple[int, int]
) -> None:
    place = Placement.of((width, height), into, fit)
    corners = [[place.left, place.top, place.left + place.width, place.top + place.height]]
    back = place.to_frame(np.array(corners, np.float32))
    np.testing.assert_allclose(back, [[0, 0, width, height]], rtol=1e-5)
    assert 0 <= place.left <= place.left + place.width <= into[0]
    assert 0 <= place.top <= place.top + place.height <= into[1]


@pytest.mark.parametrize("fit", FitMode)
@pytest.mark.parametrize("frame", [(640, 360), (360, 640), (64, 64), (37, 91)])
def test_what_is_drawn_at_a_spot_is_found_at_that_spot(fit: FitMode, frame: tuple[int, int]) -> None:
    width, height = frame
    picture = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = width // 4, height // 3, width * 3 // 4, height * 2 // 3
    picture[y1:y2, x1:x2] = 255
    canvas = np.full((256, 320, 3), GREY, np.uint8)
    place = Placement.of(frame, (320, 256), fit)
    place.draw(picture, canvas)
    rows, columns = np.nonzero(canvas[:, :, 0] > 127)
    drawn = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    # Half a pixel of the input is the most that drawing in whole pixels may cost.
    off = np.array([width / place.width, height / place.height] * 2) * 0.5 + 1e-3
    assert (np.abs(place.to_frame(drawn) - [[x1, y1, x2, y2]]) <= off).all()


def test_around_the_frame_it_stays_grey() -> None:
    canvas = np.full((416, 416, 3), GREY, np.uint8)
    Placement.of((768, 432), (416, 416), FitMode.CORNER).draw(np.zeros((432, 768, 3), np.uint8), canvas)
    assert (canvas[:234] == 0).all()
    assert (canvas[234:] == GREY).all()
