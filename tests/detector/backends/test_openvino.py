"""Networks on OpenVINO: what they are shown, what comes back, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contracts.events import Model
from services.detector.backends.heads import DetectionHead
from services.detector.backends.openvino import OpenVinoDetector
from services.detector.backends.output_layout import OutputLayout
from services.detector.backends.protocol import ModelUnavailable
from tests.detector import networks

F32 = Model(name="m", precision="f32")
SSD = OutputLayout(head=DetectionHead.SSD, person=1)
YOLO = OutputLayout(head=DetectionHead.YOLO)


def test_boxes_come_in_pixels_of_the_frame_best_first(tmp_path: Path) -> None:
    rows = [[0, 1, 0.5, 0.0, 0.0, 0.5, 0.5], [0, 1, 0.9, 0.5, 0.5, 1.0, 1.0]]
    detector = OpenVinoDetector(networks.save(tmp_path / "m.xml", networks.ssd(rows)), F32, layout=SSD)
    found = detector.detect(np.zeros((100, 200, 3), np.uint8))
    np.testing.assert_allclose(found.boxes, [[100, 50, 200, 100], [0, 0, 100, 50]])
    np.testing.assert_allclose(found.scores, [0.9, 0.5])


def test_a_box_that_reaches_outside_is_cut_at_the_edge_and_one_that_lies_outside_is_dropped(tmp_path: Path) -> None:
    rows = [[0, 1, 0.9, -0.2, 0.5, 0.5, 1.3], [0, 1, 0.8, 1.1, 0.1, 1.4, 0.2]]
    detector = OpenVinoDetector(networks.save(tmp_path / "m.xml", networks.ssd(rows)), F32, layout=SSD)
    np.testing.assert_allclose(detector.detect(np.zeros((100, 200, 3), np.uint8)).boxes, [[0, 50, 100, 100]])


def test_a_letterboxed_box_comes_back_to_its_place(tmp_path: Path) -> None:
    # 128x64 in a 64x64 input: half as large, 16 rows of grey above.
    answer = networks.yolo([[32, 32, 10, 20, 0, 0.9]], 64)
    detector = OpenVinoDetector(networks.save(tmp_path / "m.xml", answer), F32, layout=YOLO)
    np.testing.assert_allclose(detector.detect(np.zeros((64, 128, 3), np.uint8)).boxes, [[54, 12, 74, 52]])


def test_frames_of_another_size_are_placed_anew(tmp_path: Path) -> None:
    answer = networks.yolo([[32, 32, 10, 20, 0, 0.9]], 64)
    detector = OpenVinoDetector(networks.save(tmp_path / "m.xml", answer), F32, layout=YOLO)
    detector.detect(np.zeros((64, 128, 3), np.uint8))
    np.testing.assert_allclose(detector.detect(np.zeros((64, 64, 3), np.uint8)).boxes, [[27, 22, 37, 42]])


def test_yolo_sees_rgb_from_0_to_1(tmp_path: Path) -> None:
    network = networks.save_looking(tmp_path / "m.xml")
    detector = OpenVinoDetector(network, F32, layout=OutputLayout(head=DetectionHead.YOLO_END_TO_END))
    red = np.zeros((64, 64, 3), np.uint8)
    red[:, :, 2] = 51
    assert detector.detect(red).scores == pytest.approx([0.2], abs=1e-5)


def test_grey_of_an_earlier_shape_does_not_stay(tmp_path: Path) -> None:
    network = networks.save_looking(tmp_path / "m.xml")
    detector = OpenVinoDetector(network, F32, layout=OutputLayout(head=DetectionHead.YOLO_END_TO_END))
    full = detector.detect(np.full((64, 64, 3), 255, np.uint8))
    letterboxed = detector.detect(np.full((32, 64, 3), 255, np.uint8))
    assert full.scores == pytest.approx([1.0])
    assert letterboxed.scores == pytest.approx([(1 + 114 / 255) / 2], abs=1e-4)


def test_what_was_found_does_not_change_with_the_next_frame(tmp_path: Path) -> None:
    network = networks.save_looking(tmp_path / "m.xml")
    detector = OpenVinoDetector(network, F32, layout=OutputLayout(head=DetectionHead.YOLO_END_TO_END))
    first = detector.detect(np.full((64, 64, 3), 200, np.uint8))
    before = first.scores.copy()
    detector.detect(np.full((64, 64, 3), 100, np.uint8))
    np.testing.assert_array_equal(first.scores, before)


def test_names_in_the_file_say_which_label_is_a_person(tmp_path: Path) -> None:
    answer = networks.yolo([[32, 32, 10, 20, 1, 0.9]], 64, classes=2)
    detector = OpenVinoDetector(networks.save(tmp_path / "m.xml", answer, names="cart person"), F32)
    assert detector.layout == OutputLayout(head=DetectionHead.YOLO, person=1)
    assert len(detector.detect(np.zeros((64, 64, 3), np.uint8))) == 1


def test_an_input_left_open_gets_a_size(tmp_path: Path) -> None:
    answer = np.array([[[10, 10, 330, 330, 0.9, 0]]], np.float32)
    network = networks.save(tmp_path / "m.xml", answer, shape=(-1, 3, -1, -1))
    found = OpenVinoDetector(network, F32).detect(np.zeros((640, 640, 3), np.uint8))
    np.testing.assert_allclose(found.boxes, [[10, 10, 330, 330]])


def test_a_network_that_takes_no_picture_is_refused(tmp_path: Path) -> None:
    network = networks.save(tmp_path / "m.xml", networks.ssd([]), shape=(1, 10))
    with pytest.raises(ModelUnavailable, match=r"m\.xml takes \[1,10\], but a detector must take one picture"):
        OpenVinoDetector(network, F32)


@pytest.mark.parametrize("name", ["m.xml", "m.onnx"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x08\x03\x12\x07"])
def test_a_file_that_is_no_network_is_refused_by_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=rf"{name} "):
        OpenVinoDetector(tmp_path / name, F32)


def test_any_number_of_threads_finds_the_same(tmp_path: Path) -> None:
    network = networks.save_looking(tmp_path / "m.xml")
    layout = OutputLayout(head=DetectionHead.YOLO_END_TO_END)
    frame = np.random.default_rng(3).integers(0, 255, (200, 300, 3), np.uint8)
    alone = OpenVinoDetector(network, F32, layout=layout, threads=1).detect(frame)
    others = OpenVinoDetector(network, F32, layout=layout, threads=2).detect(frame)
    np.testing.assert_array_equal(others.scores, alone.scores)
