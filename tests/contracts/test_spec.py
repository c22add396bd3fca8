"""A camera's spec: lines that could never count are refused in words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from contracts.area import DetectionArea, Polygon
from contracts.identity import Policy
from contracts.spec import Anchor, CameraSpec, CountingLine, current_key, default_policy, spec_key


def line(x1: float, y1: float, x2: float, y2: float, name: str = "door") -> CountingLine:
    return CountingLine(id=name, x1=x1, y1=y1, x2=x2, y2=y2)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        pytest.param((0.5, -0.1, 0.5, 1), r"line door: the point \(0\.5, -0\.1\) lies outside", id="above the picture"),
        pytest.param((0, 0.5, 1.01, 0.5), r"line door: the point \(1\.01, 0\.5\) lies outside", id="right of it"),
        pytest.param((320, 0, 320, 240), r"the point \(320, 0\) lies outside .* from 0 .* to 1", id="given in pixels"),
        pytest.param((float("nan"), 0, 1, 1), r"the point \(nan, 0\) lies outside", id="no number"),
        pytest.param((0.5, 0.5, 0.5, 0.5), "line door is shorter than 2% .* draw it longer", id="a point"),
        pytest.param((0.5, 0.5, 0.51, 0.51), "line door is shorter", id="shorter than a person"),
    ],
)
def test_a_line_that_can_never_count_is_refused_with_the_reason(
    points: tuple[float, float, float, float], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        line(*points)


@pytest.mark.parametrize(
    "points", [(0, 0, 1, 1), (0, 0.5, 1, 0.5), (0.5, 0.5, 0.5, 0.52001)], ids=["corners", "edges", "just long enough"]
)
def test_a_line_on_the_edge_of_what_is_allowed_is_taken(points: tuple[float, float, float, float]) -> None:
    assert line(*points).revision == 1


def test_two_lines_of_one_camera_have_their_own_ids() -> None:
    with pytest.raises(ValidationError, match="camera door: two of its lines have the same id: a, a"):
        CameraSpec(store="shop", camera="door", lines=(line(0, 0, 1, 1, "a"), line(0, 1, 1, 0, "a")))


LEFT_HALF: Polygon = ((0, 0), (0.5, 0), (0.5, 1), (0, 1))


@pytest.mark.parametrize(
    ("area", "points"),
    [
        pytest.param(DetectionArea(regions=(LEFT_HALF,)), (0.7, 0, 0.7, 1), id="outside the region"),
        pytest.param(DetectionArea(ignore=(LEFT_HALF,)), (0.3, 0, 0.3, 1), id="inside what is ignored"),
        pytest.param(
            DetectionArea(regions=(LEFT_HALF,), ignore=(((0, 0), (1, 0), (1, 1), (0, 1)),)),
            (0.3, 0, 0.3, 1),
            id="where all is ignored",
        ),
        pytest.param(DetectionArea(regions=(LEFT_HALF,)), (0.49, 0.5, 1, 0.5), id="but for a step"),
    ],
)
def test_a_line_where_nobody_is_looked_for_is_refused(
    area: DetectionArea, points: tuple[float, float, float, float]
) -> None:
    with pytest.raises(ValidationError, match="line door can never count: nobody is looked for where it lies"):
        CameraSpec(store="shop", camera="door", lines=(line(*points),), detection=area)


def test_a_line_that_is_partly_looked_at_is_taken() -> None:
    spec = CameraSpec(
        store="shop", camera="door", lines=(line(0.2, 0.5, 1, 0.5),), detection=DetectionArea(regions=(LEFT_HALF,))
    )
    assert spec.lines[0].length == pytest.approx(0.8)


def test_a_person_is_where_the_point_is_that_counts() -> None:
    spec = CameraSpec(store="shop", camera="door")
    assert spec.anchors == {Anchor.CENTER}
    foot = line(0, 1, 1, 1).model_copy(update={"anchor": Anchor.FOOT})
    assert spec.model_copy(update={"lines": (foot,)}).anchors == {Anchor.FOOT}
    assert spec.model_copy(update={"lines": (foot, line(0, 0, 1, 1, "b"))}).anchors == set(Anchor)


def test_the_pool_is_the_models_name_as_a_token() -> None:
    assert CameraSpec(store="shop", camera="door", model="YOLO 26n.onnx").pool == "yolo-26n-onnx"


def test_a_revision_has_a_key_of_its_own_and_the_newest_another() -> None:
    assert spec_key("door", 3) == "door.3"
    assert current_key("door") == "door.current"


@pytest.mark.parametrize(
    ("address", "policy"),
    [
        ("clip.mp4", Policy.EVERY),
        ("/videos/0", Policy.EVERY),
        ("file:///videos/clip.mp4", Policy.EVERY),
        ("sim://door?pace=max&people=20", Policy.EVERY),
        ("sim://door?pace=real", Policy.LATEST),
        ("sim://door", Policy.LATEST),
        ("rtsp://camera/1", Policy.LATEST),
        ("HTTPS://camera/1", Policy.LATEST),
        ("0", Policy.LATEST),
        (" /dev/video2 ", Policy.LATEST),
    ],
)
def test_what_can_wait_loses_no_frame_and_what_goes_on_without_us_shows_the_newest(
    address: str, policy: Policy
) -> None:
    assert default_policy(address) is policy
