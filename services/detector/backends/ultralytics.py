"""The `ultralytics` backend: whatever Ultralytics runs (.pt, ONNX, OpenVINO, TensorRT), on CPUs and GPUs.

It is an optional extra, AGPL-3.0, that brings torch: imported when the first of its models is opened, never before.
It is kept off the network: no packages are installed, no weights downloaded, no usage reported.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
import openvino as ov

from contracts.events import Model
from services.detector.backends.heads import NMS_IOU
from services.detector.backends.output_layout import person_label
from services.detector.backends.protocol import LOWEST_SCORE, NOBODY, Found, Image, ModelUnavailable
from services.detector.backends.ultralytics_device import check_device

INSTALL = (
    "install it with `pip install 'metrica[ultralytics]'` (in a checkout: ./taskw setup-ultralytics). It is AGPL-3.0, "
    "which then covers what you run. Or export the weights to ONNX or OpenVINO where it is installed: running those "
    "takes nothing more"
)
FORCED = {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_VERBOSE": "false"}
"""Read by Ultralytics when it is imported. Its log would go to stdout, where our commands print results."""
PREFERRED = {"ULTRALYTICS_SAFE_LOAD": "true"}
"""A .pt is a pickle, which may hold a program: only what weights need is loaded, or else as the environment says."""
TASKS = ("detect", "segment", "pose")
"""Kinds of network that give upright boxes."""
OPENVINO_FOLDER = "_openvino_model"
"""Ultralytics tells an OpenVINO folder by this end of its name."""
GREY_FRAME = np.full((64, 64, 3), 114, np.uint8)
BATCH = 16
"""Frames that a GPU looks at together at most: of as many cameras, and few enough that none waits long for the rest."""


class OpenVinoOfUltralytics(Protocol):
    """The part of Ultralytics' OpenVINO backend (8.4, `nn/backends/openvino.py`) that is replaced here."""

    compile_model: Callable[[ov.Model], ov.CompiledModel]
    ov_compiled_model: ov.CompiledModel


class UltralyticsDetector:
    """A network that Ultralytics runs; each frame is looked at by itself.

    A .pt computes in the precision that is asked for (`f32`, or `f16` on a GPU), and so does OpenVINO on a CPU. For
    other exported networks it was chosen when they were exported: `model` then says which one it is.
    """

    stateful = False

    def __init__(
        self,
        weights: Path,
        model: Model,
        *,
        person: int | None = None,
        device: str | None = None,
        threads: int | None = None,
    ) -> None:
        """Load a network and look at one grey frame, so that what fails fails here.

        Args:
            weights: a .pt, .onnx, .engine or .torchscript, or a folder with an OpenVINO network.
            model: what these weights are called, and the precision that is asked for.
            person: the label of a person; by default the one that is called so.
            device: `cpu`, `cuda:0`, `intel:gpu`, …; by default the first GPU of NVIDIA, else the CPU.
            threads: of the processor, at most, for torch in the whole process; by default all.

        Raises:
            ModelUnavailable: the extra is not installed, or the network can't be run so.
        """
        ultralytics = load_library(f"The model {weights}")
        check_device(weights, model.precision, device)
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        self._options: dict[str, object] = {
            "conf": LOWEST_SCORE,
            "iou": NMS_IOU,
            "device": device,
            "quantize": 16 if model.precision == "f16" and weights.suffix == ".pt" else None,
            "verbose": False,
        }
        try:
            with _called_as_expected(weights) as path:
                self._yolo = ultralytics.YOLO(str(path), task="detect")  # the task of a network that does not say
                _check_task(self._yolo.task, weights)
                self._yolo.predict([GREY_FRAME], **self._options)
            self._network = self._yolo.predictor.model
            if self._network.format == "openvino" and (device == "intel:cpu" or not _of_intel(device)):
                _compile(self._network.backend, weights, model.precision, threads)
        except ModelUnavailable:
            raise
        except Exception as error:  # it raises whatever torch, ONNX or TensorRT do; told in our words
            raise ModelUnavailable(f"{weights} cannot be run by Ultralytics: {_in_a_line(error)}.") from error
        _check_task(getattr(self._network, "task", None) or self._yolo.task, weights)
        self._options["classes"] = [person_label(self._network.names, str(weights)) if person is None else person]
        self._most = _most_together(self._network.format, getattr(self._network, "metadata", {}))
        self._model = model.model_copy(update={"precision": _computed_in(self._network)})

    @property
    def model(self) -> Model:
        """The weights that count, and the precision that they compute in."""
        return self._model

    def detect(self, frame: Image, stream: str = "") -> Found:  # noqa: ARG002 - each frame is looked at by itself
        """Find the people in a frame."""
        return self.detect_batch([frame])[0]

    @property
    def batch(self) -> int:
        """Several frames on a GPU, as far as the network was exported for that; a CPU gains nothing by it."""
        return self._most if self._network.device.type == "cuda" else 1

    def detect_batch(self, frames: Sequence[Image]) -> list[Found]:
        """Find the people in several frames: those of one size go through the network together."""
        alike: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, frame in enumerate(frames):
            alike[frame.shape].append(number)
        found = [NOBODY] * len(frames)
        for numbers in alike.values():
            for first in range(0, len(numbers), self._most):
                some = numbers[first : first + self._most]
                for number, one in zip(some, self._look([frames[number] for number in some]), strict=True):
                    found[number] = one
        return found

    def _look(self, frames: list[Image]) -> list[Found]:
        """Frames of one size."""
        height, width = frames[0].shape[:2]
        if width == 0 or height == 0:
            return [NOBODY] * len(frames)
        results = self._yolo.predict(
            [np.ascontiguousarray(frame) for frame in frames], batch=len(frames), **self._options
        )
        return [
            _found(each.boxes.xyxy.float().cpu().numpy(), each.boxes.conf.float().cpu().numpy(), width, height)
            for each in results
        ]


def export(weights: Path, to: str, *, size: int | None = None, half: bool = False) -> Path:
    """Turn weights of Ultralytics into a network that Metrica's own backend runs.

    Args:
        weights: a .pt.
        to: `onnx` or `openvino`.
        size: side of the square input, pixels; by default the one that it was trained with.
        half: store 16 bits a weight.

    Returns:
        The .onnx, or the folder of the OpenVINO network, beside the weights.

    Raises:
        ModelUnavailable: the extra is not installed, or it can't be done.
    """
    ultralytics = load_library("Exporting")
    if not weights.is_file():
        raise ModelUnavailable(f"There is no file {weights}.")
    options: dict[str, object] = {"format": to, "device": "cpu", "quantize": 16 if half else None, "verbose": False}
    if size is not None:
        options["imgsz"] = size
    if to == "onnx":
        options["simplify"] = False  # it takes packages that are not in the extra, and OpenVINO simplifies itself
    try:
        return Path(ultralytics.YOLO(str(weights), task="detect").export(**options))
    except Exception as error:  # it raises whatever torch, ONNX or TensorRT do; told in our words
        raise ModelUnavailable(f"{weights} cannot be exported to {to}: {_in_a_line(error)}.") from error


def load_library(what: str) -> ModuleType:
    """The library, kept off the network.

    Args:
        what: needs it; named in the message.

    Raises:
        ModelUnavailable: the extra is not installed.
    """
    os.environ.update(FORCED)
    for name, value in PREFERRED.items():
        os.environ.setdefault(name, value)
    try:
        import ultralytics
    except ImportError as error:
        raise ModelUnavailable(f"{what} needs the ultralytics extra ({error}): {INSTALL}.") from error
    library: ModuleType = ultralytics
    return library


def _check_task(task: str, weights: Path) -> None:
    if task not in TASKS:
        raise ModelUnavailable(f"{weights} is a network to {task}; to find people takes one to {TASKS[0]}.")


def _of_intel(device: str | None) -> bool:
    return device is not None and device.startswith("intel")


@contextmanager
def _called_as_expected(weights: Path) -> Iterator[Path]:
    """A path to the weights that Ultralytics can tell the format from."""
    if not weights.is_dir() or OPENVINO_FOLDER in weights.name:
        yield weights
        return
    with tempfile.TemporaryDirectory(prefix="metrica-") as place:
        link = Path(place, f"{weights.name}{OPENVINO_FOLDER}")
        link.symlink_to(weights.resolve(), target_is_directory=True)
        yield link


def _compile(backend: OpenVinoOfUltralytics, folder: Path, precision: str, threads: int | None) -> None:
    """Compile an OpenVINO network anew, in the precision asked for.

    Ultralytics leaves it to OpenVINO, which rounds to bf16 where the processor can: some boxes of yolo11n in int8 then
    have an IoU of 0.6 with those at f32.
    """
    core = ov.Core()
    config: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    if threads is not None:
        config["INFERENCE_NUM_THREADS"] = threads
    backend.compile_model = partial(core.compile_model, device_name="CPU", config=config)
    backend.ov_compiled_model = backend.compile_model(core.read_model(next(folder.glob("*.xml"))))


def _most_together(form: str, metadata: Mapping[str, Mapping[str, object]]) -> int:
    """How many frames a network takes at once, at most `BATCH`; both are told by Ultralytics' AutoBackend."""
    if form == "pt":
        return BATCH
    if not metadata.get("args", {}).get("dynamic"):
        return 1
    # An engine is built for so many at most; others that are dynamic take any number.
    return min(BATCH, int(str(metadata.get("batch", 1)))) if form == "engine" else BATCH


def _computed_in(network: object) -> str:
    """The precision of an open network (Ultralytics' AutoBackend)."""
    compiled = getattr(network, "ov_compiled_model", None)
    if compiled is not None:
        try:
            return str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
        except RuntimeError:  # of several devices each may have its own
            return "auto"
    metadata: Mapping[str, Mapping[str, object]] = getattr(network, "metadata", {})
    exported = metadata.get("args", {})
    if exported.get("int8") or exported.get("quantize") == 8:
        return "int8"
    half = getattr(network, "fp16", False) or exported.get("half") or exported.get("quantize") == 16
    return "f16" if half else "f32"


def _found(boxes: np.ndarray, scores: np.ndarray, width: int, height: int) -> Found:
    """Boxes inside the frame, best first."""
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
    visible = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    best_first = visible[np.argsort(-scores[visible], kind="stable")]
    return Found(boxes[best_first], scores[best_first].clip(0, 1))


def _in_a_line(error: Exception) -> str:
    """What torch or Ultralytics says, without what follows it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}, {lines[0]}".rstrip(".:") if lines else type(error).__name__
