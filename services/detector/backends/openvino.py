"""The `openvino` backend: IR (.xml) and ONNX networks on the CPU, or on a GPU or NPU of Intel.

Conversion to floats, channel order and layout are compiled into the network, so that it takes a frame's bytes directly.
"""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import openvino as ov
from openvino.preprocess import ColorFormat, PrePostProcessor

from contracts.events import Model
from services.detector.backends.heads import people
from services.detector.backends.letterbox import GREY, FitMode, Placement
from services.detector.backends.output_layout import OutputLayout, from_sidecar, infer
from services.detector.backends.panorama import detect_in_parts, is_panorama
from services.detector.backends.protocol import NOBODY, Found, Image, ModelUnavailable
from services.detector.backends.slicing import DETAIL, PART, detect_sliced

DEFAULT_SIDE = 640
"""Side in pixels of an input of dynamic size (Ultralytics' `dynamic=True`)."""


class OpenVinoDetector:
    """A network that finds people in each frame independently.

    At precision `f32` its results are the same bits with any number of threads; `bf16` and `f16` are faster on some
    processors, and differ.
    """

    stateful = False

    def __init__(
        self,
        weights: Path,
        model: Model,
        *,
        layout: OutputLayout | None = None,
        device: str | None = None,
        threads: int | None = None,
        closer: bool = False,
    ) -> None:
        """Load a network.

        Args:
            weights: an .xml, its .bin beside it, or an .onnx.
            model: name and checksum of the weights, and the precision to compute in.
            layout: of the output; by default from the file beside the weights, or inferred from the output's shape.
            device: `cpu`, `intel:gpu` or `intel:npu`; by default the CPU.
            threads: of the processor, at most; by default all of them.
            closer: True for sliced inference where people are small.

        Raises:
            ModelUnavailable: there is no such device, the file is no such network, or its output's layout is unknown.
        """
        self.model, self._sliced = model, closer
        core = ov.Core()
        device_name = _device(core, device, weights)
        try:
            network = core.read_model(weights)
        except RuntimeError as error:
            raise ModelUnavailable(
                f"{weights} cannot be read as a network: {_first_line(error)}. Is the file whole?"
            ) from error
        width, height = self._size = _fixed_size(network, weights)
        self.layout = (
            layout or from_sidecar(weights) or infer(_shapes(network), self._size, _names(network), str(weights))
        )
        config: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": model.precision,
        }
        if threads is not None and device_name == "CPU":
            config["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = core.compile_model(_from_bytes(network, self.layout), device_name, config)
        except RuntimeError as error:
            raise ModelUnavailable(
                f"{weights} cannot run on the {device_name} here at precision {model.precision}: {_first_line(error)}"
            ) from error
        self._request = compiled.create_infer_request()
        # The network reads the canvas in place: the only copy is drawing the next frame into it.
        self._canvas = np.full((1, height, width, 3), GREY, np.uint8)
        self._request.set_input_tensor(ov.Tensor(self._canvas, shared_memory=True))
        self._placement: Placement | None = None

    def scale(self, width: int, height: int) -> float:
        """Vertical pixels of the input per pixel of a frame of this size, where people are small."""
        scale = Placement.of((width, height), self._size, self.layout.head.fit).height / height
        sliced = self._sliced and scale <= DETAIL and not self._in_parts(width, height)
        return scale / PART if sliced else scale

    def detect(self, frame: Image, stream: str = "") -> Found:  # noqa: ARG002 - it keeps no state of streams
        """Find the people in a frame."""
        height, width = frame.shape[:2]
        if width == 0 or height == 0:
            return NOBODY
        if self._in_parts(width, height):
            return detect_in_parts(frame, self._infer)
        found = self._infer(frame)
        if not self._sliced:
            return found
        return detect_sliced(frame, found, self._place(width, height).height / height, self._infer)

    def _in_parts(self, width: int, height: int) -> bool:
        return self.layout.head.fit is FitMode.STRETCH and is_panorama(width, height)

    def _infer(self, frame: Image) -> Found:
        height, width = frame.shape[:2]
        placement = self._place(width, height)
        placement.draw(frame, self._canvas[0])
        self._request.infer()
        output: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = self._request.get_output_tensor().data
        boxes, scores = people(self.layout.head, output, self._size, self.layout.person)
        return Found.inside(placement.to_frame(boxes), scores, width, height)

    def _place(self, width: int, height: int) -> Placement:
        """The placement of frames of this size; for another size than before, the canvas is made grey."""
        current = self._placement
        if current is not None and (current.frame_width, current.frame_height) == (width, height):
            return current
        self._canvas.fill(GREY)
        self._placement = Placement.of((width, height), self._size, self.layout.head.fit)
        return self._placement


def _device(core: ov.Core, device: str | None, weights: Path) -> str:
    """OpenVINO's name of a device.

    Raises:
        ModelUnavailable: OpenVINO does not run on it, or it is missing.
    """
    if device in (None, "cpu"):
        return "CPU"
    if not device.startswith("intel:"):
        raise ModelUnavailable(
            f"{weights} is run by OpenVINO, on cpu, intel:gpu or intel:npu, and not on METRICA_DEVICE={device}. "
            "Leave that unset: each model then takes what suits it, and weights of Ultralytics a GPU of NVIDIA."
        )
    name = device.removeprefix("intel:").upper()
    available: list[str] = core.available_devices
    if name not in available and f"{name}.0" not in available:
        raise ModelUnavailable(
            f"METRICA_DEVICE={device} is not there: OpenVINO sees only {', '.join(available)} on this machine. "
            "Look whether its driver is installed, or set METRICA_DEVICE=cpu."
        )
    return name


def _fixed_size(network: ov.Model, weights: Path) -> tuple[int, int]:
    """Width and height of the network's one input; a dynamic one is fixed to `DEFAULT_SIDE`."""
    inputs = network.inputs
    shape = inputs[0].partial_shape
    if len(inputs) != 1 or shape.rank.is_dynamic or len(shape) != 4 or shape[1] not in (3, -1):
        given = " and ".join(str(each.partial_shape) for each in inputs)
        raise ModelUnavailable(
            f"{weights} takes {given}, but a detector must take one picture as [1, 3, height, width]."
        )
    if shape.is_dynamic:
        sides = [DEFAULT_SIDE if side.is_dynamic else side.get_length() for side in list(shape)[2:]]
        network.reshape({inputs[0]: [1, 3, *sides]})
    _, _, height, width = network.inputs[0].shape
    return width, height


def _shapes(network: ov.Model) -> list[tuple[int, ...]]:
    return [
        tuple(-1 if side.is_dynamic else side.get_length() for side in output.partial_shape)
        for output in network.outputs
    ]


def _names(network: ov.Model) -> dict[int, str] | None:
    """Names of the labels, from OpenVINO's model info or Ultralytics' metadata in an ONNX file; None without either."""
    if network.has_rt_info(["model_info", "labels"]):
        return dict(enumerate(str(network.get_rt_info(["model_info", "labels"]).value).split()))
    if network.has_rt_info(["framework", "names"]):
        try:
            names = ast.literal_eval(str(network.get_rt_info(["framework", "names"]).value))
        except (ValueError, SyntaxError):
            return None
        return {int(label): str(name) for label, name in names.items()} if isinstance(names, dict) else None
    return None


def _from_bytes(network: ov.Model, layout: OutputLayout) -> ov.Model:
    """The same network with input as OpenCV's frames: [1, height, width, 3] bytes, BGR."""
    steps = PrePostProcessor(network)
    given = steps.input()
    given.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(ColorFormat.BGR)
    given.model().set_layout(ov.Layout("NCHW"))
    given.preprocess().convert_element_type(ov.Type.f32)
    if layout.head.rgb_unit:
        given.preprocess().convert_color(ColorFormat.RGB).scale(255.0)
    steps.output().tensor().set_element_type(ov.Type.f32)
    return steps.build()


def _first_line(error: Exception) -> str:
    """The last line of OpenVINO's message that names no source file."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "src/" not in line]
    return (lines or [type(error).__name__])[-1].rstrip(".")
