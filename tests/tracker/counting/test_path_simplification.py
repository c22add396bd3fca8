"""Paths, simplified while they are walked."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Box
from services.tracker.counting.path_simplification import (
    PIECE_NS,
    PIECE_POINTS,
    TOLERANCE,
    PathPiece,
    begin,
    extend,
    finish,
)
from tests.tracker.scenes import START, box_at

FRAME = 100_000_000


def trace(boxes: list[Box]) -> list[PathPiece]:
    """The pieces of a path with a box each tenth of a second."""
    walked, pieces = begin(START, boxes[0]), []
    for frame, box in enumerate(boxes[1:], start=1):
        walked, piece = extend(walked, START + frame * FRAME, box)
        pieces += [piece] if piece else []
    return [*pieces, finish(walked)]


def at(pieces: list[PathPiece], moment: int) -> list[float]:
    """The place of the simplified path at a time: straight between two points."""
    points = [(piece.at + point.t * 1_000_000, point.box) for piece in pieces for point in piece.points]
    for (t0, a), (t1, b) in pairwise(points):
        if t0 <= moment <= t1 and t1 > t0:
            part = (moment - t0) / (t1 - t0)
            return [x + part * (y - x) for x, y in zip(a, b, strict=True)]
    return list(points[-1][1])


def test_a_straight_walk_is_two_points() -> None:
    (piece,) = trace([box_at(100 + 5 * n, 300 + 2 * n) for n in range(50)])

    assert [point.t for point in piece.points] == [0, 4900]


def test_a_corner_is_kept() -> None:
    (piece,) = trace([box_at(100 + 10 * min(n, 20), 300 + 10 * max(0, n - 20)) for n in range(40)])

    assert [point.t for point in piece.points] == [0, 2000, 3900]


def test_standing_is_two_points() -> None:
    (piece,) = trace([box_at(100, 300) for _ in range(50)])

    assert len(piece.points) == 2


def test_somebody_seen_once_is_one_point() -> None:
    (piece,) = trace([box_at(100, 300)])

    assert [point.t for point in piece.points] == [0]


@given(
    st.lists(
        st.tuples(st.floats(-30, 30), st.floats(-30, 30), st.floats(-2, 2), st.floats(-4, 4)), min_size=2, max_size=120
    )
)
def test_no_box_lies_further_off_than_the_tolerance(steps: list[tuple[float, float, float, float]]) -> None:
    x, y, w, h = 500.0, 400.0, 60.0, 150.0
    boxes = []
    for dx, dy, dw, dh in steps:
        x, y, w, h = x + dx, y + dy, max(30.0, w + dw), max(100.0, h + dh)
        boxes.append(box_at(x, y, w, h))
    pieces = trace(boxes)
    for frame, (x1, y1, x2, y2) in enumerate(boxes):
        a1, b1, a2, b2 = at(pieces, START + frame * FRAME)
        off = (a1 + a2 - x1 - x2) / 2, (b1 + b2 - y1 - y2) / 2, a2 - a1 - x2 + x1, b2 - b1 - y2 + y1

        assert all(abs(d) <= allowed * (y2 - y1) + 0.05 for d, allowed in zip(off, TOLERANCE, strict=True))


def test_a_long_path_comes_in_pieces_of_ten_seconds_or_of_so_many_points() -> None:
    calm = trace([box_at(100 + n, 300) for n in range(250)])
    wild = trace([box_at(300 + 90 * math.sin(n), 300 + 90 * math.cos(2 * n)) for n in range(250)])

    assert [piece.part for piece in calm] == [0, 1, 2]
    assert calm[1].at - calm[0].at == PIECE_NS
    assert max(len(piece.points) for piece in wild) <= PIECE_POINTS + 1


@pytest.mark.parametrize("later", [0, -3_600_000_000_000], ids=["stands still", "jumps back"])
def test_where_time_does_not_go_on_a_new_piece_begins(later: int) -> None:
    walked, _ = extend(begin(START, box_at(100, 300)), START + FRAME, box_at(110, 300))
    walked, piece = extend(walked, START + FRAME + later, box_at(120, 300))

    assert piece is not None
    assert [point.t for point in piece.points] == [0, 100]
    assert finish(walked).part == 1
