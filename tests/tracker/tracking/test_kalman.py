"""The filters of many tracks at once."""

from __future__ import annotations

import numpy as np
import pytest

from services.tracker.tracking.kalman import Motion, centred, cornered


def walker(fps: float, seconds: float, speed: float = 100.0) -> Motion:
    """The filter of somebody seen at each frame, walking to the right at so many pixels a second."""
    motion = Motion.begin(np.array([[0.0, 300.0, 60.0, 150.0]]))
    for frame in range(1, round(seconds * fps) + 1):
        motion.predict(1 / fps)
        motion.correct(np.array([0]), np.array([[speed * frame / fps, 300.0, 60.0, 150.0]]), np.ones(1))
    return motion


@pytest.mark.parametrize("fps", [5.0, 10.0, 30.0])
def test_the_speed_of_a_walker_is_learnt_within_a_second(fps: float) -> None:
    assert walker(fps, 1.0).velocity[0, 0] == pytest.approx(100.0, rel=0.15)


def test_a_walker_who_is_hidden_is_expected_further_on() -> None:
    motion = walker(10.0, 2.0)
    motion.predict(1.0)

    assert motion.position[0, 0] == pytest.approx(290.0, abs=10.0)


def test_one_long_step_and_many_short_ones_agree() -> None:
    one, many = walker(10.0, 2.0), walker(10.0, 2.0)
    one.predict(1.0)
    for _ in range(25):
        many.predict(0.04)

    assert many.position == pytest.approx(one.position, abs=1.0)
    assert many.spread() == pytest.approx(one.spread(), rel=0.1)


def test_the_longer_unseen_the_wider_the_search() -> None:
    motion = walker(10.0, 2.0)
    spreads = []
    for _ in range(5):
        motion.predict(0.5)
        spreads.append(motion.spread()[0, 0])

    assert spreads == sorted(spreads)


def test_a_speed_that_is_not_observed_stays_a_persons() -> None:
    motion = Motion.begin(np.array([[0.0, 300.0, 60.0, 150.0]]))
    size = (60 * 150) ** 0.5
    for _ in range(100):
        motion.predict(1.0)

    assert motion.var_velocity[0, 0] ** 0.5 == pytest.approx(1.2 * size, rel=0.05)


def test_a_near_and_a_far_person_are_treated_alike() -> None:
    near, far = Motion.begin(np.array([[0.0, 0.0, 60.0, 150.0]])), Motion.begin(np.array([[0.0, 0.0, 6.0, 15.0]]))
    near.predict(0.1)
    far.predict(0.1)

    assert near.spread() == pytest.approx(100 * far.spread())


def test_a_box_that_is_doubtful_moves_a_track_less() -> None:
    sure, doubtful = walker(10.0, 2.0), walker(10.0, 2.0)
    box = np.array([[230.0, 300.0, 60.0, 150.0]])
    for motion, score in ((sure, 0.9), (doubtful, 0.2)):
        motion.predict(0.1)
        motion.correct(np.array([0]), box, np.array([score]))

    assert 205 < doubtful.position[0, 0] < sure.position[0, 0] < 230
    assert doubtful.spread()[0, 0] > sure.spread()[0, 0]


def test_each_track_moves_as_if_it_were_alone() -> None:
    boxes = np.array([[0.0, 0.0, 60.0, 150.0], [500.0, 90.0, 30.0, 80.0], [800.0, 20.0, 45.0, 99.0]])
    together, rows = Motion.begin(boxes), np.array([2, 0])
    together.predict(0.1)
    together.correct(rows, boxes[rows] + 3.0, np.array([0.9, 0.3]))
    for row, box in enumerate(boxes):
        alone = Motion.begin(box[None])
        alone.predict(0.1)
        if row in rows:
            alone.correct(np.array([0]), box[None] + 3.0, np.array([0.3 if row == 0 else 0.9]))

        assert np.array_equal(together.take(np.array([row])).position, alone.position)
        assert np.array_equal(together.take(np.array([row])).velocity, alone.velocity)


def test_corners_and_centre_are_the_same_box() -> None:
    boxes = np.array([[10.0, 20.0, 30.0, 80.0], [0.0, 0.0, 2.0, 2.0]])

    assert np.array_equal(cornered(centred(boxes)), boxes)
