"""The rules of where people are looked for."""

from __future__ import annotations

from math import cos, hypot, pi, sin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.area import DetectionArea, Point, Polygon, contains

PICTURE: Polygon = ((0, 0), (1, 0), (1, 1), (0, 1))
MIDDLE: Polygon = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
CORE: Polygon = ((0.45, 0.45), (0.55, 0.45), (0.55, 0.55), (0.45, 0.55))
DOOR: Polygon = ((0.4, 0.2), (0.6, 0.2), (0.6, 0.9), (0.9, 0.9), (0.9, 1), (0.4, 1))
"""Hooked: not every segment between two of its points lies in it."""

points = st.tuples(st.floats(0, 1), st.floats(0, 1))


def test_all_of_the_picture_is_looked_at_unless_told() -> None:
    area = DetectionArea()
    assert area.whole
    assert all(area.sees(*corner) for corner in PICTURE)
    assert area.seen_part((0, 0), (1, 1)) == 1


@pytest.mark.parametrize(
    ("point", "seen"),
    [
        pytest.param((0.3, 0.3), True, id="in a region"),
        pytest.param((0.1, 0.5), False, id="in none"),
        pytest.param((0.5, 0.5), False, id="in a region, and ignored"),
        pytest.param((0.25, 0.5), True, id="on a region's border"),
        pytest.param((0.45, 0.5), False, id="on an ignored part's border"),
        pytest.param((0.97, 0.05), True, id="in another region"),
    ],
)
def test_people_are_seen_in_any_region_but_not_where_they_are_ignored(point: Point, seen: bool) -> None:
    area = DetectionArea(regions=(MIDDLE, ((0.9, 0), (1, 0), (1, 0.1))), ignore=(CORE,))
    assert area.sees(*point) is seen


@settings(max_examples=50)
@given(point=points)
def test_whoever_is_in_the_picture_is_in_a_region_of_all_of_it(point: Point) -> None:
    assert contains(PICTURE, *point)


@settings(max_examples=50)
@given(point=points, first=st.integers(0, 5), backwards=st.booleans())
def test_a_polygon_is_the_same_from_whichever_corner_and_way_it_is_drawn(
    point: Point, first: int, backwards: bool
) -> None:
    turned = DOOR[first:] + DOOR[:first]
    assert contains(DOOR, *point) == contains(turned[::-1] if backwards else turned, *point)


@settings(max_examples=50)
@given(angle=st.floats(0, 2 * pi), distance=st.floats(0, 0.5))
def test_a_round_region_holds_what_is_nearer_than_its_radius(angle: float, distance: float) -> None:
    corners = 64
    ring = tuple((0.5 + 0.3 * cos(2 * pi * i / corners), 0.5 + 0.3 * sin(2 * pi * i / corners)) for i in range(corners))
    x, y = 0.5 + distance * cos(angle), 0.5 + distance * sin(angle)
    radius = hypot(x - 0.5, y - 0.5)
    if not 0.3 * cos(pi / corners) - 1e-9 < radius < 0.3 + 1e-9:  # between the two, sides and corners differ
        assert contains(ring, x, y) is (radius < 0.3)


@settings(max_examples=40)
@given(start=points, end=points)
def test_the_seen_part_of_a_segment_is_that_of_its_points(start: Point, end: Point) -> None:
    area = DetectionArea(regions=(MIDDLE, DOOR), ignore=(CORE,))
    steps = 100
    seen = 0
    for at in ((i + 0.5) / steps for i in range(steps)):
        seen += area.sees(start[0] + (end[0] - start[0]) * at, start[1] + (end[1] - start[1]) * at)
    assert area.seen_part(start, end) == pytest.approx(seen / steps, abs=10 / steps)  # a step at each border


@pytest.mark.parametrize(
    ("polygon", "problem"),
    [
        pytest.param(((0, 0), (1.5, 0), (1, 1)), r"region 2: the point \(1\.5, 0\) lies outside the picture", id="out"),
        pytest.param(((0, 0), (float("nan"), 0), (1, 1)), r"the point \(nan, 0\) lies outside", id="no number"),
        pytest.param((), "region 2: it has 0 corners; give at least three", id="nothing"),
        pytest.param(((0, 0), (1, 1), (0, 0)), "it has 2 corners; give at least three points", id="a line and back"),
        pytest.param(((0, 0), (0.5, 0.5), (1, 1)), "it covers next to nothing", id="three points in a row"),
        pytest.param(((0, 0), (0.02, 0), (0, 0.02)), "it covers next to nothing of the picture", id="tiny"),
        pytest.param(((0, 0), (1, 1), (1, 0), (0, 1)), "its sides cross each other; .* in order", id="a bow tie"),
    ],
)
def test_what_is_no_polygon_is_refused_by_its_number(polygon: Polygon, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        DetectionArea(regions=(MIDDLE, polygon))


def test_an_ignored_part_is_refused_by_its_own_name() -> None:
    with pytest.raises(ValidationError, match="ignored part 1: it has 1 corners"):
        DetectionArea(ignore=(((0.5, 0.5),),))


@pytest.mark.parametrize("height", [-0.1, 1.0, 20])
def test_a_smallest_height_is_a_part_of_the_picture(height: float) -> None:
    with pytest.raises(ValidationError, match="min_height"):
        DetectionArea(min_height=height)


def test_a_polygon_may_be_closed_by_its_first_point() -> None:
    closed = (*MIDDLE, MIDDLE[0])
    assert DetectionArea(regions=(closed,)).sees(0.5, 0.5)
