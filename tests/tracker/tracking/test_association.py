"""Assignment of boxes to tracks."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from services.tracker.tracking.association import assign, costs, overlaps
from services.tracker.tracking.kalman import Floats, Motion
from services.tracker.tracking.matching import distinct, match_boxes

STANDING = np.array([[100.0, 100.0, 160.0, 250.0], [400.0, 100.0, 460.0, 250.0]])


def known(boxes: Floats, frames: int = 10) -> Motion:
    """Filters of people who have stood there for a while, predicted to the next frame."""
    middle = np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]])
    motion = Motion.begin(middle)
    for _ in range(frames):
        motion.predict(0.1)
        motion.correct(np.arange(len(boxes)), middle, np.ones(len(boxes)))
    motion.predict(0.1)
    return motion


class TestAssign:
    @given(arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.floats(-9, 9)))
    def test_no_other_pairing_is_cheaper(self, cost: Floats) -> None:
        limit, (n, m) = 2.0, cost.shape
        rows, columns = assign(cost, limit)
        ours = sum(cost[rows, columns] - limit)
        wide = np.hstack([cost - limit, np.zeros((n, n))])
        best = min(sum(wide[i, j] for i, j in enumerate(order)) for order in permutations(range(n + m), n))

        assert ours == pytest.approx(best, abs=1e-9)
        assert (cost[rows, columns] <= limit).all()
        assert len(set(rows.tolist())) == len(rows) == len(set(columns.tolist()))

    def test_people_who_stand_apart_and_people_who_do_not(self) -> None:
        cost = np.array([[0.0, 9.0, 9.0], [9.0, 1.0, 0.0], [9.0, 0.5, 1.0]])
        rows, columns = assign(cost, 2.0)

        assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 0), (1, 2), (2, 1)]


class TestCost:
    def test_the_nearer_box_costs_less(self) -> None:
        near, far = costs(known(STANDING[:1]), np.array([[131.0, 175.0, 60.0, 150.0], [150.0, 175.0, 60.0, 150.0]]))[0]

        assert near < far

    def test_who_is_in_plain_view_goes_before_who_was_lost_at_the_same_place(self) -> None:
        seen, lost = known(STANDING[:1]), known(STANDING[:1])
        lost.predict(1.0)
        box = np.array([[130.0, 175.0, 60.0, 150.0]])

        assert costs(seen, box)[0, 0] < costs(lost, box)[0, 0]

    def test_half_a_person_is_still_that_person(self) -> None:
        legs_hidden = np.array([[130.0, 145.0, 60.0, 90.0]])

        assert costs(known(STANDING[:1]), legs_hidden)[0, 0] < 2.0


class TestPairing:
    RECENT = np.array([True, True])

    def test_each_to_their_own_in_whatever_order_the_boxes_come(self) -> None:
        pairs = match_boxes(known(STANDING), self.RECENT, STANDING[::-1] + 2.0, np.array([0.9, 0.8]))

        assert dict(zip(pairs.tracks.tolist(), pairs.boxes.tolist(), strict=True)) == {0: 1, 1: 0}
        assert pairs.new.tolist() == []

    def test_a_good_box_of_nobody_is_somebody_new_and_a_weak_one_is_not(self) -> None:
        elsewhere = np.array([[700.0, 100.0, 760.0, 250.0], [900.0, 100.0, 960.0, 250.0]])
        pairs = match_boxes(known(STANDING), self.RECENT, elsewhere, np.array([0.9, 0.2]))

        assert pairs.tracks.tolist() == []
        assert pairs.new.tolist() == [0]

    @pytest.mark.parametrize("aside", [30.0, 40.0])
    def test_a_sudden_step_is_followed(self, aside: float) -> None:
        stepped = STANDING[:1] + np.array([aside, 0.0, aside, 0.0])
        pairs = match_boxes(known(STANDING[:1], frames=100), self.RECENT[:1], stepped, np.ones(1))

        assert pairs.tracks.tolist() == [0]

    def test_the_lost_do_not_take_a_double_of_somebody_in_view(self) -> None:
        motion = known(np.array([STANDING[0], STANDING[0] + [40.0, 0.0, 40.0, 0.0]]))
        boxes = np.array([STANDING[0], STANDING[0] + [8.0, 4.0, 12.0, -4.0]])
        pairs = match_boxes(motion, np.array([True, False]), boxes, np.array([0.9, 0.8]))

        assert (pairs.tracks.tolist(), pairs.new.tolist()) == ([0], [])

    def test_of_two_boxes_on_one_person_the_better_is_looked_at(self) -> None:
        boxes = np.array([STANDING[0] + 3.0, STANDING[0], STANDING[1]])

        assert distinct(boxes, np.array([0.5, 0.9, 0.3])).tolist() == [1, 2]


def test_overlap_of_boxes() -> None:
    a = np.array([[0.0, 0.0, 10.0, 10.0]])
    b = np.array([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [2.0, 2.0, 4.0, 4.0], [20.0, 0.0, 30.0, 10.0]])
    iou, part = overlaps(a, b)

    assert iou[0].tolist() == pytest.approx([1.0, 1 / 3, 0.04, 0.0])
    assert part[0].tolist() == pytest.approx([1.0, 0.5, 1.0, 0.0])
