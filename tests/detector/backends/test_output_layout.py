"""The layout of a network's output: told, guessed from its shapes and names, or refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.detector.backends.heads import DetectionHead
from services.detector.backends.output_layout import OutputLayout, from_sidecar, infer
from services.detector.backends.protocol import ModelUnavailable

SIZE = (640, 640)


@pytest.mark.parametrize(
    ("shape", "head"),
    [
        ((1, 8400, 85), DetectionHead.YOLOX),
        ((1, 84, 8400), DetectionHead.YOLO),
        ((1, 5, 8400), DetectionHead.YOLO),
        ((1, 300, 6), DetectionHead.YOLO_END_TO_END),
        ((1, -1, 6), DetectionHead.YOLO_END_TO_END),
        pytest.param((1, 8400, 6), DetectionHead.YOLOX, id="one class only: the number of cells decides"),
    ],
)
def test_the_shape_gives_the_head_away(shape: tuple[int, ...], head: DetectionHead) -> None:
    assert infer([shape], SIZE, None, "m.onnx") == OutputLayout(head=head, person=0)


def test_names_say_which_label_is_a_person() -> None:
    assert infer([(1, 6, 8400)], SIZE, {0: "cart", 1: "Person"}, "m.onnx").person == 1


def test_a_model_that_knows_no_people_is_refused() -> None:
    with pytest.raises(ModelUnavailable, match=r"m\.onnx knows no label called person, only cat, dog"):
        infer([(1, 6, 8400)], SIZE, {0: "cat", 1: "dog"}, "m.onnx")


@pytest.mark.parametrize("shape", [(1, 1, 200, 7), (1, 10, 8400)])
def test_labels_without_names_are_not_guessed(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelUnavailable, match=r"does not say which of its labels is a person.*\.toml.*person ="):
        infer([shape], SIZE, None, "m.xml")


@pytest.mark.parametrize("shapes", [[(1, 25200, 85)], [(1, 1000)], [(1, 116, 8400), (1, 32, 160, 160)]])
def test_an_unknown_layout_is_refused_with_those_that_are_known(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(ModelUnavailable, match=r"none of the layouts read here: SSD .* YOLOX .* YOLO11"):
        infer(shapes, SIZE, None, "m.onnx")


def test_the_file_beside_the_weights_is_believed(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('head = "ssd"\nperson = 15\n')
    assert from_sidecar(tmp_path / "m.xml") == OutputLayout(head=DetectionHead.SSD, person=15)


def test_without_such_a_file_nothing_is_told(tmp_path: Path) -> None:
    assert from_sidecar(tmp_path / "m.xml") is None


@pytest.mark.parametrize("text", ['head = "sdd"', "person = 1", "head = ", 'head = "ssd"\nperson = -1', "\0"])
def test_a_broken_file_beside_the_weights_says_what_it_needs(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(
        ModelUnavailable, match=r'm\.toml does not say .* needs a line head = … \(one of "ssd", "yolox"'
    ):
        from_sidecar(tmp_path / "m.xml")
