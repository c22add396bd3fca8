"""Weights run by Ultralytics: found by name, kept to people, refused in words; imported only if asked for."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from contracts.events import Model
from services.detector.backends.protocol import BatchDetector, Detector, Found, Image, ModelUnavailable
from services.detector.backends.ultralytics import BATCH, UltralyticsDetector, _batch_limit, export
from services.detector.models.loading import open_detector
from tests.detector import untrained
from tests.detector.untrained import needs_extra

F32 = Model(name="m", precision="f32")
NOISE: Image = np.random.default_rng(5).integers(0, 255, (90, 160, 3), np.uint8)
SURE = 0.25
CLIPS = ["one_by_one.mp4", "vtest_480x360.mp4", "tud_campus.mp4"]


@pytest.fixture(autouse=True)
def own_settings() -> None:
    if untrained.INSTALLED:
        untrained.library()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained.save(tmp_path_factory.mktemp("weights") / "door.pt")


def test_the_extra_is_not_imported_unless_it_is_asked_for() -> None:
    script = (
        "import sys; from pathlib import Path; import services.detector.app, services.cli.main; "
        "from services.detector.models.loading import open_detector; open_detector('motion', cache=Path('none')); "
        "print(*{'torch', 'ultralytics'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", ["door.pt", "ultralytics:door.pt", "ultralytics:door.onnx", "door.engine"])
def test_without_the_extra_one_reads_how_to_get_it_and_its_licence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    (tmp_path / name.removeprefix("ultralytics:")).write_bytes(b"weights")
    with pytest.raises(ModelUnavailable, match=r"pip install 'metrica\[ultralytics\]'.*AGPL-3\.0.*export the weights"):
        open_detector(name, folders=[tmp_path], cache=tmp_path)


@pytest.mark.parametrize("name", ["gone.pt", "ultralytics:gone", "ultralytics:gone.onnx"])
def test_missing_weights_are_named_and_never_downloaded(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no file gone.* \(looked in .*\)\. Weights .* never downloaded"):
        open_detector(name, folders=[tmp_path], cache=tmp_path)


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"holds no network"):
        open_detector(f"ultralytics:{tmp_path}", cache=tmp_path)


@needs_extra
def test_it_is_opened_by_its_suffix_with_name_sum_and_precision(weights: Path, tmp_path: Path) -> None:
    model = open_detector(weights.name, folders=[weights.parent], cache=tmp_path).model
    assert (model.name, len(model.sha256), model.precision) == ("door", 64, "f32")


@needs_extra
def test_it_finds_people_and_nothing_else(weights: Path, tmp_path: Path) -> None:
    chairs = untrained.save(tmp_path / "chairs.pt", likely=56)
    assert len(UltralyticsDetector(weights, F32).detect(NOISE)) > 0
    assert len(UltralyticsDetector(chairs, F32).detect(NOISE)) == 0
    assert len(UltralyticsDetector(chairs, F32, person=56).detect(NOISE)) > 0


@needs_extra
def test_the_label_of_a_person_may_be_told_beside_the_weights(tmp_path: Path) -> None:
    weights = untrained.save(tmp_path / "chairs.pt", likely=56)
    (tmp_path / "chairs.toml").write_text('head = "yolo"\nperson = 56\n')
    assert len(open_detector(str(weights), cache=tmp_path).detect(NOISE, "camera")) > 0


@needs_extra
def test_a_batch_finds_what_each_frame_alone_shows(weights: Path) -> None:
    detector = UltralyticsDetector(weights, F32)
    frames = [NOISE, NOISE[::-1], NOISE[:, :80], np.zeros((0, 0, 3), np.uint8), NOISE[:, ::-1]]
    together = detector.detect_batch(frames)
    for found, alone in zip(together, map(detector.detect, frames), strict=True):
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=0.01)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-4)
    assert len(together[0]) > 0
    assert detector.detect_batch([]) == []


@needs_extra
@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_exported_weights_find_the_same_in_either_backend(to: str, tmp_path: Path) -> None:
    weights = untrained.save(tmp_path / "door.pt")
    exported = export(weights, to)
    square: Image = np.ascontiguousarray(NOISE[:, :90])  # an export pads to its square, a .pt only to multiples of 32
    before = UltralyticsDetector(weights, F32).detect(square)
    for name in (str(exported), f"ultralytics:{exported}"):
        detector = open_detector(name, cache=tmp_path)
        assert detector.model.precision == "f32"
        assert _agreement(before, detector.detect(square, "camera")) > 0.95


@needs_extra
def test_an_export_has_the_size_asked_for(weights: Path, tmp_path: Path) -> None:
    copy = tmp_path / "door.pt"
    copy.write_bytes(weights.read_bytes())
    folder = export(copy, "openvino", size=128, half=True)
    assert 'shape="1,3,128,128"' in (folder / "door.xml").read_text()


@needs_extra
def test_half_precision_is_for_gpus(weights: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"in f16 on a GPU only: set METRICA_PRECISION=f32"):
        UltralyticsDetector(weights, F32.model_copy(update={"precision": "f16"}), device="cpu")
    with pytest.raises(ModelUnavailable, match=r"not in bf16: set METRICA_PRECISION"):
        UltralyticsDetector(weights, F32.model_copy(update={"precision": "bf16"}))


@needs_extra
def test_a_gpu_that_is_not_there_is_refused_by_the_settings_name(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ModelUnavailable, match=r"METRICA_DEVICE=cuda:0 needs a GPU of NVIDIA, .* METRICA_DEVICE=cpu"):
        open_detector(str(weights), cache=tmp_path, device="cuda:0")
    (tmp_path / "door.engine").write_bytes(b"engine")
    with pytest.raises(ModelUnavailable, match=r"door\.engine, a TensorRT engine, needs a GPU of NVIDIA"):
        open_detector(str(tmp_path / "door.engine"), cache=tmp_path, device="cpu")


@needs_extra
def test_a_gpu_of_a_number_that_is_not_there_is_refused(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for device in ("cuda:2", "2"):
        with pytest.raises(ModelUnavailable, match=f"METRICA_DEVICE={device} is not there: torch sees 2 GPUs"):
            open_detector(str(weights), cache=tmp_path, device=device)


@pytest.mark.parametrize(
    ("form", "metadata", "most"),
    [
        ("pt", {}, BATCH),
        ("onnx", {"args": {"dynamic": True}, "batch": 1}, BATCH),
        ("onnx", {"args": {"dynamic": False}, "batch": 1}, 1),
        ("engine", {"args": {"dynamic": True}, "batch": 4}, 4),
        ("engine", {"args": {"dynamic": True}, "batch": 64}, BATCH),
        ("engine", {"args": {"dynamic": False}, "batch": 4}, 1),
        ("openvino", {}, 1),
    ],
)
def test_a_network_is_given_as_many_frames_as_it_was_exported_for(
    form: str, metadata: dict[str, Any], most: int
) -> None:
    assert _batch_limit(form, metadata) == most


@needs_extra
def test_a_cpu_gains_nothing_by_batches_and_asks_for_none(weights: Path) -> None:
    detector: Detector = UltralyticsDetector(weights, F32, device="cpu")
    assert isinstance(detector, BatchDetector)
    assert detector.batch == 1


@needs_extra
@pytest.mark.parametrize("name", ["broken.pt", "broken.onnx"])
def test_a_file_that_is_no_network_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelUnavailable, match=rf"{name} cannot be run by Ultralytics: \w"):
        open_detector(f"ultralytics:{tmp_path / name}", cache=tmp_path)


class Touch:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self._path,)


@needs_extra
@pytest.mark.parametrize("zipped", [True, False])
def test_a_program_in_a_weights_file_is_not_run(zipped: bool, tmp_path: Path) -> None:
    import torch

    place, mark = tmp_path / "door.pt", tmp_path / "mark"
    torch.save({"model": Touch(mark)}, place, _use_new_zipfile_serialization=zipped)
    if not zipped:
        place.write_bytes(pickle.dumps(Touch(mark)))
    with pytest.raises(ModelUnavailable, match="cannot be run by Ultralytics"):
        open_detector(str(place), cache=tmp_path)
    assert not mark.exists()


@needs_extra
def test_a_network_for_another_task_is_refused(tmp_path: Path) -> None:
    weights = untrained.save(tmp_path / "kinds.pt", layers="yolo11n-cls.yaml")
    with pytest.raises(ModelUnavailable, match=r"is a network to classify; to find people takes one to detect"):
        UltralyticsDetector(weights, F32)


@needs_extra
@pytest.mark.footage
@pytest.mark.parametrize("clip", CLIPS)
def test_two_backends_on_the_same_weights_agree_on_real_frames(clip: str, footage: Path, tmp_path: Path) -> None:
    name, folders = "yolo11n-int8-openvino", [footage / "models"]
    ours = open_detector(name, folders=folders, cache=tmp_path)
    theirs = open_detector(f"ultralytics:{name}", folders=folders, cache=tmp_path)
    assert ours.model == theirs.model
    looked = 0
    for frame in _some_frames(footage / "videos" / clip, 6):
        one, other = ours.detect(frame, clip), theirs.detect(frame, clip)
        looked += int((one.scores >= SURE).sum())
        assert _agreement(one, other) > 0.95
    assert looked > 0


@needs_extra
def test_on_a_gpu_half_precision_and_batches_find_the_same(weights: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU here")
    on_cpu = UltralyticsDetector(weights, F32, device="cpu").detect(NOISE)
    for precision in ("f32", "f16"):
        detector = UltralyticsDetector(weights, F32.model_copy(update={"precision": precision}), device="cuda:0")
        assert detector.model.precision == precision
        assert detector.batch == BATCH
        for found in detector.detect_batch([NOISE] * 8):
            assert _agreement(on_cpu, found) > 0.9


def _agreement(one: Found, other: Found) -> float:
    """The least IoU of a box that either is sure of with the best one of the other's."""
    worst = 1.0
    for these, those in ((one, other), (other, one)):
        for box in these.boxes[these.scores >= SURE]:
            worst = min(worst, float(_iou(box, those.boxes).max(initial=0)))
    return worst


def _iou(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    shared = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(0).prod(axis=1)
    total = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - shared
    iou: NDArray[np.float32] = shared / total
    return iou


def _some_frames(clip: Path, count: int) -> list[Image]:
    """Frames spread over a clip."""
    capture = cv2.VideoCapture(str(clip))
    step = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) // count
    frames: list[Image] = []
    while len(frames) < count:
        for _ in range(step - 1):
            capture.grab()
        read, picture = capture.read()
        if not read:
            break
        frames.append(np.asarray(picture, np.uint8))
    capture.release()
    return frames
