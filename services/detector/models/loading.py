"""Loading of models: from a name to a detector that is ready."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from contracts.events import Model
from services.detector.backends.openvino import OpenVinoDetector
from services.detector.backends.output_layout import from_sidecar
from services.detector.backends.protocol import Detector, ModelUnavailable
from services.detector.backends.ultralytics import UltralyticsDetector
from services.detector.models.catalogue import MOTION, catalogue, download, in_cache
from services.detector.models.checksums import check_pins, weights_sum
from services.detector.models.download import ProgressCallback
from services.detector.motion.detector import MotionDetector

WEIGHTS = (".xml", ".onnx")
ULTRALYTICS = "ultralytics:"
"""Prefix of a path whose weights are run by Ultralytics, whatever their format."""
ULTRALYTICS_WEIGHTS = (".pt", ".engine")
"""Formats that only Ultralytics runs."""
PRECISIONS = ("f32", "bf16", "f16")
DEVICE = re.compile(r"cpu|mps|cuda|(cuda:)?\d+|intel:(cpu|gpu|npu)(\.\d+)?")
NO_BACKENDS: Mapping[str, Callable[[], Detector]] = MappingProxyType({})


def open_detector(
    name: str,
    *,
    folders: Sequence[Path] = (),
    cache: Path,
    shared: Path | None = None,
    precision: str = "f32",
    threads: int | None = None,
    device: str | None = None,
    closer: bool = True,
    progress: ProgressCallback | None = None,
    backends: Mapping[str, Callable[[], Detector]] = NO_BACKENDS,
) -> Detector:
    """Open the detector of a name. It reads, may download, and compiles: takes seconds, so never on an event loop.

    Args:
        name: one of `backends`; `motion`; a model in `folders` or of the catalogue; the path of an .xml or .onnx, or
            the absolute one of a folder that holds it; the path of a .pt or .engine; or `ultralytics:` and a path.
        folders: the operator's own, searched before a download, each for `<name>/<name>.xml`, `<name>.xml` and the same
            as .onnx. Their files need not have published checksums, only match a list of pins beside them.
        cache: folder of downloads, with one folder per model.
        shared: a read-only cache; models that are complete there are not downloaded.
        precision: computed in; `f32` gives the same bits with any number of threads.
        threads: of the processor, at most; by default all.
        device: to compute on: `cpu`; `intel:gpu` or `intel:npu`; `cuda:0` for weights that Ultralytics runs. By
            default the CPU; for weights of Ultralytics the first NVIDIA GPU, where there is one.
        closer: True for sliced inference where people are small, with OpenVINO's networks.
        progress: called with the progress of a download.
        backends: further detectors, by name.

    Raises:
        ModelUnavailable: the model cannot be opened; the message says why, and what to do.
    """
    if name in backends:
        return backends[name]()
    if name == MOTION:
        return MotionDetector()
    if precision not in PRECISIONS:
        raise ModelUnavailable(f"There is no precision {precision!r}; choose one of {', '.join(PRECISIONS)}.")
    if device is not None and not DEVICE.fullmatch(device):
        raise ModelUnavailable(
            f"METRICA_DEVICE={device} names no device: give cpu, cuda:0 (the first GPU of NVIDIA), intel:gpu "
            "or intel:npu."
        )
    if name.startswith(ULTRALYTICS) or Path(name).suffix in ULTRALYTICS_WEIGHTS:
        path = Path(name.removeprefix(ULTRALYTICS)).expanduser()
        return _with_ultralytics(path, folders, precision, device, threads)
    entry = catalogue().get(name)
    weights = own_weights(name, folders)
    if weights is None:
        if entry is None:
            raise ModelUnavailable(_unknown(name, folders))
        weights = in_cache(name, entry, shared) if shared else None
        weights = weights or download(name, entry, cache=cache, progress=progress)
    entry = entry or catalogue().get(weights.stem)
    model = _identify(weights, name if name in catalogue() else weights.stem, precision)
    layout = from_sidecar(weights) or (entry.layout if entry else None)
    return OpenVinoDetector(weights, model, layout=layout, device=device, threads=threads, closer=closer)


def own_weights(name: str, folders: Sequence[Path]) -> Path | None:
    """The operator's file for a name; None where there is none.

    Args:
        name: of a model, or a path.
        folders: the operator's own.

    Raises:
        ModelUnavailable: the path does not exist, or a folder has several networks.
    """
    given = Path(name).expanduser()
    if given.suffix in WEIGHTS:
        for path in (given, *(folder / given for folder in folders)):
            if path.is_file():
                return path
        raise ModelUnavailable(f"There is no file {given}{_searched(folders)}.")
    if given.is_absolute():
        return _only_network(given)
    for folder in folders:
        for stem in (folder / name / name, folder / name):
            for suffix in WEIGHTS:
                weights = stem.with_name(stem.name + suffix)
                if weights.is_file():
                    return weights
        if network := _only_network(folder / name):
            return network
    return None


def _with_ultralytics(
    path: Path, folders: Sequence[Path], precision: str, device: str | None, threads: int | None
) -> Detector:
    existing = next((known for known in (path, *(folder / path for folder in folders)) if known.exists()), None)
    if existing is None:
        raise ModelUnavailable(
            f"There is no file {path}{_searched(folders)}. Weights of Ultralytics are never downloaded: put them there."
        )
    network = _only_network(existing) if existing.is_dir() else existing
    if network is None:
        raise ModelUnavailable(f"{existing} holds no network: neither an .xml nor an .onnx is in it.")
    model = _identify(network, network.stem, precision)
    layout = from_sidecar(network)
    return UltralyticsDetector(
        existing if network.suffix == ".xml" else network,
        model,
        person=layout.person if layout else None,
        device=device,
        threads=threads,
    )


def _identify(weights: Path, name: str, precision: str) -> Model:
    """Identify weights by their checksum, after a check against the pinned ones."""
    try:
        parts = parts_of(weights)
        check_pins(parts)
        return Model(name=name, sha256=weights_sum(parts), precision=precision)
    except OSError as error:
        raise ModelUnavailable(f"{error.filename or weights} cannot be read ({error.strerror or error}).") from error


def _only_network(folder: Path) -> Path | None:
    """The only network in a folder, of any name, as Ultralytics exports them: `yolo_model/yolo.xml`."""
    networks = sorted(file for suffix in WEIGHTS for file in folder.glob(f"*{suffix}"))
    if len(networks) > 1:
        names = " and ".join(file.name for file in networks)
        raise ModelUnavailable(
            f"{folder} holds {names}, and none is called {folder.name}: rename the one that is meant."
        )
    return networks[0] if networks else None


def parts_of(weights: Path) -> list[Path]:
    """All files that make up a network.

    Raises:
        ModelUnavailable: one is missing.
    """
    if weights.suffix != ".xml":
        return [weights]
    binary = weights.with_suffix(".bin")
    if not binary.is_file():
        raise ModelUnavailable(f"{weights} lacks its weights: {binary.name} must lie beside it.")
    return [weights, binary]


def _unknown(name: str, folders: Sequence[Path]) -> str:
    if Path(name).suffix in (".pth", ".torchscript"):
        return f"{name} cannot be run as it is. Export it to ONNX or OpenVINO first, and give the .onnx or .xml."
    known = ", ".join([*catalogue(), MOTION])
    return (
        f"There is no model {name!r}{_searched(folders)}. Known are {known}; "
        "or give the path of an .xml, .onnx or .pt file."
    )


def _searched(folders: Sequence[Path]) -> str:
    return f" (looked in {', '.join(str(folder) for folder in folders)} too)" if folders else ""
