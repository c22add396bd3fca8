"""The `ultralytics` backend: all formats that Ultralytics runs (.pt, ONNX, OpenVINO, TensorRT), on CPUs and GPUs.

It is an optional extra, AGPL-3.0, that brings torch: imported when the first of its models is opened, never before.
It is kept off the network: it installs no packages, downloads no weights, and reports no usage.
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
"""Environment that Ultralytics reads at its import. Its log would go to stdout, where our commands print results."""
PREFERRED = {"ULTRALYTICS_SAFE_LOAD": "true"}
"""Environment that the operator may override. A .pt is a pickle, which can hold a program: with this, only the types of
weights are loaded."""
TASKS = ("detect", "segment", "pose")
"""Tasks of networks that give upright boxes."""
OPENVINO_FOLDER = "_openvino_model"
"""Ending by which Ultralytics recognises a folder of OpenVINO."""
GREY_FRAME = np.full((64, 64, 3), 114, np.uint8)
BATCH = 16
"""Most frames of a GPU's batch: of as many cameras, and few enough that no frame waits long for the others."""


class OpenVinoOfUltralytics(Protocol):
    """The part of Ultralytics' OpenVINO backend (8.4, `nn/backends/openvino.py`) that is replaced here."""

    compile_model: Callable[[ov.Model], ov.CompiledModel]
    ov_compiled_model: ov.CompiledModel


class UltralyticsDetector:
    """A network that Ultralytics runs, on each frame independently.

    A .pt computes in the requested precision (`f32`, or `f16` on a GPU), and so does OpenVINO on a CPU. For other
    exported networks it is fixed by the export, and given by `model`.
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
        """Load a network and run it on a grey frame, so that any failure shows here.

        Args:
            weights: a .pt, .onnx, .engine or .torchscript, or a folder with an OpenVINO network.
            model: name and checksum of the weights, and the requested precision.
            person: the label of a person; by default the one of that name.
            device: `cpu`, `cuda:0`, `intel:gpu`, …; by default the first NVIDIA GPU, else the CPU.
            threads: of the processor, at most, for torch in the whole process; by default all.

        Raises:
            ModelUnavailable: the extra is not installed, or the network can't be run with these options.
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
            with _recognised_path(weights) as path:
                self._yolo = ultralytics.YOLO(str(path), task="detect")  # for networks that do not name their task
                _check_task(self._yolo.task, weights)
                self._yolo.predict([GREY_FRAME], **self._options)
            self._network = self._yolo.predictor.model
            if self._network.format == "openvino" and (device == "intel:cpu" or not _of_intel(device)):
                _compile(self._network.backend, weights, model.precision, threads)
        except ModelUnavailable:
            raise
        except Exception as error:  # it raises any exception of torch, ONNX or TensorRT
            raise ModelUnavailable(f"{weights} cannot be run by Ultralytics: {_in_a_line(error)}.") from error
        _check_task(getattr(self._network, "task", None) or self._yolo.task, weights)
        self._options["classes"] = [person_label(self._network.names, str(weights)) if person is None else person]
        self._most = _batch_limit(self._network.format, getattr(self._network, "metadata", {}))
        self.model = model.model_copy(update={"precision": _computed_in(self._network)})

    def detect(self, frame: Image, stream: str = "") -> Found:  # noqa: ARG002 - it keeps no state of streams
        """Find the people in a frame."""
        return self.detect_batch([frame])[0]

    @property
    def batch(self) -> int:
        """Up to `BATCH` frames on a GPU, as far as the network was exported for batches; 1 on a CPU."""
        return self._most if self._network.device.type == "cuda" else 1

    def detect_batch(self, frames: Sequence[Image]) -> list[Found]:
        """Find the people in several frames: frames of one size go through the network together."""
        by_size: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, frame in enumerate(frames):
            by_size[frame.shape].append(number)
        results = [NOBODY] * len(frames)
        for numbers in by_size.values():
            for first in range(0, len(numbers), self._most):
                batch = numbers[first : first + self._most]
                for number, found in zip(batch, self._infer([frames[number] for number in batch]), strict=True):
                    results[number] = found
        return results

    def _infer(self, frames: list[Image]) -> list[Found]:
        """Find the people in frames of one size."""
        height, width = frames[0].shape[:2]
        if width == 0 or height == 0:
            return [NOBODY] * len(frames)
        results = self._yolo.predict(
            [np.ascontiguousarray(frame) for frame in frames], batch=len(frames), **self._options
        )
        return [
            Found.inside(each.boxes.xyxy.float().cpu().numpy(), each.boxes.conf.float().cpu().numpy(), width, height)
            for each in results
        ]


def export(weights: Path, to: str, *, size: int | None = None, half: bool = False) -> Path:
    """Export weights of Ultralytics to a network for the `openvino` backend.

    Args:
        weights: a .pt.
        to: `onnx` or `openvino`.
        size: side of the square input, pixels; by default as in its training.
        half: store 16 bits a weight.

    Returns:
        The .onnx, or the folder of the OpenVINO network, beside the weights.

    Raises:
        ModelUnavailable: the extra is not installed, or the export failed.
    """
    ultralytics = load_library("Exporting")
    if not weights.is_file():
        raise ModelUnavailable(f"There is no file {weights}.")
    options: dict[str, object] = {"format": to, "device": "cpu", "quantize": 16 if half else None, "verbose": False}
    if size is not None:
        options["imgsz"] = size
    if to == "onnx":
        options["simplify"] = False  # it needs packages that are not in the extra, and OpenVINO simplifies itself
    try:
        return Path(ultralytics.YOLO(str(weights), task="detect").export(**options))
    except Exception as error:  # it raises any exception of torch, ONNX or TensorRT
        raise ModelUnavailable(f"{weights} cannot be exported to {to}: {_in_a_line(error)}.") from error


def load_library(what: str) -> ModuleType:
    """Import the library, kept off the network.

    Args:
        what: the thing that needs it, for the message.

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
def _recognised_path(weights: Path) -> Iterator[Path]:
    """A path to the weights from which Ultralytics recognises their format."""
    if not weights.is_dir() or OPENVINO_FOLDER in weights.name:
        yield weights
        return
    with tempfile.TemporaryDirectory(prefix="metrica-") as folder:
        link = Path(folder, f"{weights.name}{OPENVINO_FOLDER}")
        link.symlink_to(weights.resolve(), target_is_directory=True)
        yield link


def _compile(backend: OpenVinoOfUltralytics, folder: Path, precision: str, threads: int | None) -> None:
    """Compile an OpenVINO network anew, in the requested precision.

    Ultralytics leaves it to OpenVINO, which rounds to bf16 where the processor can: some boxes of yolo11n in int8 then
    have an IoU of 0.6 with the boxes at f32.
    """
    core = ov.Core()
    config: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    if threads is not None:
        config["INFERENCE_NUM_THREADS"] = threads
    backend.compile_model = partial(core.compile_model, device_name="CPU", config=config)
    backend.ov_compiled_model = backend.compile_model(core.read_model(next(folder.glob("*.xml"))))


def _batch_limit(form: str, metadata: Mapping[str, Mapping[str, object]]) -> int:
    """The most frames that a network takes at once, up to `BATCH`.

    Args:
        form: the format, from Ultralytics' AutoBackend.
        metadata: of the export, from there too.
    """
    if form == "pt":
        return BATCH
    if not metadata.get("args", {}).get("dynamic"):
        return 1
    # An engine is built for a fixed maximum; other dynamic networks take any number.
    return min(BATCH, int(str(metadata.get("batch", 1)))) if form == "engine" else BATCH


def _computed_in(network: object) -> str:
    """The precision of an open network (Ultralytics' AutoBackend)."""
    compiled = getattr(network, "ov_compiled_model", None)
    if compiled is not None:
        try:
            return str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
        except RuntimeError:  # with several devices, each may have its own
            return "auto"
    metadata: Mapping[str, Mapping[str, object]] = getattr(network, "metadata", {})
    exported = metadata.get("args", {})
    if exported.get("int8") or exported.get("quantize") == 8:
        return "int8"
    half = getattr(network, "fp16", False) or exported.get("half") or exported.get("quantize") == 16
    return "f16" if half else "f32"


def _in_a_line(error: Exception) -> str:
    """The type and the first line of a message of torch or Ultralytics."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}, {lines[0]}".rstrip(".:") if lines else type(error).__name__
