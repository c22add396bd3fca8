"""A closer look at where people are small."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detector.backends.protocol import Found, Image
from services.detector.backends.slicing import LARGE, SMALL, detect_sliced

Box = tuple[float, float, float, float]
SCALE = 0.5
"""Pixels of the network's input per pixel of the frame."""
HEIGHT, WIDTH = 512, 800
GLIMPSE = 0.3
"""The score of a person that is small on the input."""
PLAIN = 0.9
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
FRAME = np.dstack([ROWS // 256 * 16 + COLUMNS // 256, ROWS % 256, COLUMNS % 256]).astype(np.uint8)
"""Each pixel says where it is."""


def person(x: float, y: float, high: float) -> Box:
    """A person's box about a centre, pixels of the frame; `high` on the network's input."""
    return (x - high / SCALE / 4, y - high / SCALE / 2, x + high / SCALE / 4, y + high / SCALE / 2)


def street(people: Sequence[Box]) -> tuple[Callable[[Image], Found], list[tuple[int, int]]]:
    """A detector that finds these people in any part of the frame, and what it was shown."""
    shown: list[tuple[int, int]] = []

    def look(picture: Image) -> Found:
        high, wide = picture.shape[:2]
        where, y, x = (int(value) for value in picture[0, 0])
        left, top = where % 16 * 256 + x, where // 16 * 256 + y
        shown.append((left, top))
        cut = [
            (max(x1 - left, 0), max(y1 - top, 0), min(x2 - left, wide), min(y2 - top, high))
            for x1, y1, x2, y2 in people
        ]
        seen = [box for box in cut if box[2] - box[0] > 2 and box[3] - box[1] > 2]
        larger = HEIGHT / high
        scores = [PLAIN if (y2 - y1) * SCALE * larger >= SMALL else GLIMPSE for _, y1, _, y2 in seen]
        return Found(np.array(seen, np.float32).reshape(-1, 4), np.array(scores, np.float32))

    return look, shown


def found(people: Sequence[Box], scale: float = SCALE) -> tuple[list[Box], list[float], int]:
    """The boxes and scores of a closer look, and how many looks it took."""
    look, shown = street(people)
    result = detect_sliced(FRAME, look(FRAME), scale, look)
    x1, y1, x2, y2 = np.round(result.boxes.astype(float), 2).T.tolist()
    return sorted(zip(x1, y1, x2, y2, strict=True)), [round(float(score), 2) for score in result.scores], len(shown)


def test_nobody_small_is_no_closer_look() -> None:
    assert found([person(300, 200, 60)]) == ([person(300, 200, 60)], [PLAIN], 1)


def test_nobody_at_all_is_none_either() -> None:
    assert found([]) == ([], [], 1)


def test_a_small_person_is_seen_in_the_quarter_they_are_in() -> None:
    assert found([person(100, 100, 20)]) == ([person(100, 100, 20)], [PLAIN], 2)


@pytest.mark.parametrize(("x", "y"), [(400, 100), (100, 256), (400, 256), (330, 256), (470, 256), (399.9, 256)])
def test_one_where_quarters_overlap_is_one(x: float, y: float) -> None:
    boxes, scores, _ = found([person(x, y, 20)])

    assert boxes == [pytest.approx(person(x, y, 20), abs=0.01)]
    assert scores == [PLAIN]


def test_who_is_large_is_seen_in_the_whole_frame_beside_who_is_small() -> None:
    near, far = person(400, 300, 200), [person(420, 60, 20), person(500, 60, 20)]
    boxes, scores, _ = found([near, *far])

    assert boxes == [near, *far]
    assert set(scores) == {PLAIN}


def test_somebody_far_behind_people_in_plain_view_is_no_reason_to_look_closer() -> None:
    assert found([person(400, 300, 200), person(420, 60, 20)])[2] == 1


def test_a_frame_that_hides_nothing_is_looked_at_once() -> None:
    assert found([person(100, 100, 20)], scale=0.8)[2] == 1


def test_a_closer_look_that_finds_nobody_takes_a_glimpse_back() -> None:
    look, nobody = street([person(100, 100, 20)])[0], street([])[0]

    assert len(detect_sliced(FRAME, look(FRAME), SCALE, nobody)) == 0


@given(st.floats(20, WIDTH - 20), st.floats(60, HEIGHT - 60), st.floats(8, LARGE * 2))
def test_one_person_anywhere_of_any_size_is_found_once(x: float, y: float, high: float) -> None:
    far = [person(20 + 40 * n, 20, 10) for n in range(3)]
    boxes, _, looks = found([person(x, y, high), *far])

    assert len(boxes) == 4
    assert looks > 1


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4)), min_size=1, unique=True))
def test_a_crowd_of_small_people_is_as_many_people(places: list[tuple[int, int]]) -> None:
    boxes, scores, looks = found([person(50 + 100 * x, 50 + 100 * y, 18) for x, y in places])

    assert len(boxes) == len(places)
    assert set(scores) == {PLAIN}
    assert looks <= 5
