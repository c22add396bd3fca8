"""Each head's raw numbers become boxes of people, and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.backends.heads import DetectionHead, cells, people, suppress
from services.detector.backends.protocol import LOWEST_SCORE
from tests.detector import networks

SIDE = 64
PERSON, DOG = 0, 16


def test_ssd_boxes_are_parts_of_the_input() -> None:
    output = networks.ssd([[0, 1, 0.9, 0.25, 0.5, 0.5, 1.0]])
    boxes, scores = people(DetectionHead.SSD, output, (544, 320), person=1)
    np.testing.assert_allclose(boxes, [[136, 160, 272, 320]])
    np.testing.assert_allclose(scores, [0.9])


def test_ssd_rows_behind_the_end_mark_mean_nothing() -> None:
    output = networks.ssd([[0, 1, 0.9, 0, 0, 1, 1]])
    output[0, 0, 5] = [0, 1, 0.8, 0, 0, 1, 1]
    assert len(people(DetectionHead.SSD, output, (SIDE, SIDE), person=1)[0]) == 1


def test_ssd_full_to_the_last_row_needs_no_end_mark() -> None:
    output = np.tile(np.array([0, 1, 0.9, 0, 0, 1, 1], np.float32), (1, 1, 4, 1))
    assert len(people(DetectionHead.SSD, output, (SIDE, SIDE), person=1)[0]) == 4


def test_ssd_label_of_a_person_differs_between_models() -> None:
    output = networks.ssd([[0, 0, 0.9, 0, 0, 1, 1], [0, 1, 0.8, 0, 0, 0.5, 0.5]])
    assert people(DetectionHead.SSD, output, (SIDE, SIDE), person=0)[1] == pytest.approx([0.9])
    assert people(DetectionHead.SSD, output, (SIDE, SIDE), person=1)[1] == pytest.approx([0.8])


@pytest.mark.parametrize(
    ("head", "answer"), [(DetectionHead.YOLO, networks.yolo), (DetectionHead.YOLOX, networks.yolox)]
)
class TestDense:
    """Rules that the heads with a grid have in common."""

    def test_the_box_lies_around_its_centre(self, head: DetectionHead, answer: object) -> None:
        output = self._answer(head, [[20, 40, 10, 30, PERSON, 0.8]])
        boxes, scores = people(head, output, (SIDE, SIDE), PERSON)
        np.testing.assert_allclose(boxes, [[15, 25, 25, 55]], rtol=1e-5)
        np.testing.assert_allclose(scores, [0.8])

    def test_a_dog_is_nobody(self, head: DetectionHead, answer: object) -> None:
        output = self._answer(head, [[20, 40, 10, 30, DOG, 0.8]])
        assert len(people(head, output, (SIDE, SIDE), PERSON)[0]) == 0

    def test_what_looks_more_like_a_dog_is_nobody(self, head: DetectionHead, answer: object) -> None:
        both = self._answer(head, [[20, 40, 10, 30, DOG, 0.8]]) + 0
        person = self._answer(head, [[20, 40, 10, 30, PERSON, 0.3]])
        assert len(people(head, np.maximum(both, person), (SIDE, SIDE), PERSON)[0]) == 0

    def test_weak_sightings_are_kept_down_to_the_floor(self, head: DetectionHead, answer: object) -> None:
        rows = [[10, 10, 8, 16, PERSON, LOWEST_SCORE + 0.01], [50, 50, 8, 16, PERSON, LOWEST_SCORE - 0.01]]
        scores = people(head, self._answer(head, rows), (SIDE, SIDE), PERSON)[1]
        np.testing.assert_allclose(scores, [LOWEST_SCORE + 0.01])

    def test_two_boxes_of_one_person_become_the_better_one(self, head: DetectionHead, answer: object) -> None:
        rows = [[31, 31, 20, 40, PERSON, 0.6], [33, 33, 20, 40, PERSON, 0.9]]
        np.testing.assert_allclose(people(head, self._answer(head, rows), (SIDE, SIDE), PERSON)[1], [0.9])

    def test_nobody_gives_empty_arrays_of_the_right_shape(self, head: DetectionHead, answer: object) -> None:
        boxes, scores = people(head, self._answer(head, []), (SIDE, SIDE), PERSON)
        assert boxes.shape == (0, 4)
        assert scores.shape == (0,)

    @staticmethod
    def _answer(head: DetectionHead, rows: networks.Rows) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return networks.yolo(rows, SIDE) if head is DetectionHead.YOLO else networks.yolox(rows, SIDE)


def test_yolox_cells_of_every_grid_decode_to_their_own_place() -> None:
    output = np.zeros((1, cells(SIDE, SIDE), 6), np.float32)
    output[0, :, 4:] = 1.0
    boxes, _ = people(DetectionHead.YOLOX, output[:, :, :], (SIDE, SIDE), PERSON)
    # A cell that says nothing but "here" gives a box of its stride around its own corner.
    fine = boxes[np.isclose(boxes[:, 2] - boxes[:, 0], 8)]
    assert len(fine) == (SIDE // 8) ** 2
    assert sorted({float(x) for x in (fine[:, 0] + fine[:, 2]) / 2}) == [8.0 * i for i in range(SIDE // 8)]


def test_end_to_end_rows_are_taken_as_they_are() -> None:
    output = np.array([[[1, 2, 30, 40, 0.9, PERSON], [5, 5, 9, 9, 0.9, DOG], [1, 2, 3, 4, 0.05, PERSON]]], np.float32)
    boxes, scores = people(DetectionHead.YOLO_END_TO_END, output, (SIDE, SIDE), PERSON)
    np.testing.assert_allclose(boxes, [[1, 2, 30, 40]])
    np.testing.assert_allclose(scores, [0.9])


def test_numbers_that_are_none_never_come_out() -> None:
    output = networks.ssd([[0, 1, 0.9, np.nan, 0, 1, 1], [0, 1, np.nan, 0, 0, 1, 1], [0, 1, 0.9, 0, 0, np.inf, 1]])
    assert len(people(DetectionHead.SSD, output, (SIDE, SIDE), person=1)[0]) == 0


def test_people_side_by_side_stay_two() -> None:
    boxes = np.array([[0, 0, 20, 60], [12, 0, 32, 60]], np.float32)
    assert len(suppress(boxes, np.array([0.9, 0.8], np.float32))[0]) == 2
