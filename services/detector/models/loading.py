"""From a model's name to a detector that is ready to look."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from contracts.events import Model
from services.detector.backends.openvino import OpenVinoDetector
from services.detector.backends.output_layout import told
from services.detector.backends.protocol import Detector, ModelUnavailable
from services.detector.backends.ultralytics import UltralyticsDetector
from services.detector.models.catalogue import MOTION, catalogue, download, in_cache
from services.detector.models.checksums import check_pins, weights_sum
from services.detector.models.download import Progress
from services.detector.motion.detector import MotionDetector

WEIGHTS = (".xml", ".onnx")
ULTRALYTICS = "ultralytics:"
"""Before a path: the weights are run by Ultralytics, whatever they are."""
ULTRALYTICS_WEIGHTS = (".pt", ".engine")
"""Nothing else runs them."""
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
    progress: Progress | None = None,
    backends: Mapping[str, Callable[[], Detector]] = NO_BACKENDS,
) -> Detector:
    """Open the detector that a name stands for. Reads, may download, and compiles: seconds, so never on an event loop.

    Args:
        name: one of `backends`; `motion`; a model in `folders` or of the catalogue; the path of an .xml or .onnx, or
            the absolute one of a folder that holds it; the path of a .pt or .engine; or `ultralytics:` and a path.
        folders: searched before anything is downloaded, each for `<name>/<name>.xml`, `<name>.xml` and the same as
            .onnx. They are their owner's word: files in them need no published sum, only those of their own list.
        cache: where downloads are kept, one folder per model.
        shared: a cache of somebody else's; what is whole there is not downloaded, and nothing is written.
        precision: computed in; `f32` gives the same bits with any number of threads.
        threads: of the processor, at most; by default all.
        device: what computes: `cpu`; `intel:gpu` or `intel:npu`; `cuda:0` for weights that Ultralytics runs. By
            default the CPU; for weights of Ultralytics the first GPU of NVIDIA, where there is one.
        closer: whether OpenVINO's networks look closer where people are small.
        progress: is told how far a download is.
        backends: further detectors, by name.

    Raises:
        ModelUnavailable: what is wrong, and what to do.
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
    reading = told(weights) or (entry.reading if entry else None)
    return OpenVinoDetector(weights, model, reading=reading, device=device, threads=threads, closer=closer)


def own_weights(name: str, folders: Sequence[Path]) -> Path | None:
    """The owner's file for a name, if there is one.

    Raises:
        ModelUnavailable: there is no file of that path, or several may be meant.
    """
    given = Path(name).expanduser()
    if given.suffix in WEIGHTS:
        for place in (given, *(folder / given for folder in folders)):
            if place.is_file():
                return place
        raise ModelUnavailable(f"There is no file {given}{_searched(folders)}.")
    if given.is_absolute():
        return _only_one(given)
    for folder in folders:
        for place in (folder / name / name, folder / name):
            for suffix in WEIGHTS:
                weights = place.with_name(place.name + suffix)
                if weights.is_file():
                    return weights
        if found := _only_one(folder / name):
            return found
    return None


def _with_ultralytics(
    path: Path, folders: Sequence[Path], precision: str, device: str | None, threads: int | None
) -> Detector:
    place = next((place for place in (path, *(folder / path for folder in folders)) if place.exists()), None)
    if place is None:
        raise ModelUnavailable(
            f"There is no file {path}{_searched(folders)}. Weights of Ultralytics are never downloaded: put them there."
        )
    network = _only_one(place) if place.is_dir() else place
    if network is None:
        raise ModelUnavailable(f"{place} holds no network: neither an .xml nor an .onnx is in it.")
    model = _identify(network, network.stem, precision)
    reading = told(network)
    return UltralyticsDetector(
        place if network.suffix == ".xml" else network,
        model,
        person=reading.person if reading else None,
        device=device,
        threads=threads,
    )


def _identify(weights: Path, name: str, precision: str) -> Model:
    """Weights by their sum, after a look whether they are the pinned ones."""
    try:
        parts = parts_of(weights)
        check_pins(parts)
        return Model(name=name, sha256=weights_sum(parts), precision=precision)
    except OSError as error:
        raise ModelUnavailable(f"{error.filename or weights} cannot be read ({error.strerror or error}).") from error


def _only_one(folder: Path) -> Path | None:
    """The one network in a folder, whatever it is called, as exports of Ultralytics lie: `yolo_model/yolo.xml`."""
    found = sorted(file for suffix in WEIGHTS for file in folder.glob(f"*{suffix}"))
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise ModelUnavailable(
            f"{folder} holds {names}, and none is called {folder.name}: rename the one that is meant."
        )
    return found[0] if found else None


def parts_of(weights: Path) -> list[Path]:
    """All files that make up a network.

    Raises:
        ModelUnavailable: one is missing.
    """
    if weights.suffix != ".xml":
        return [weights]
    numbers = weights.with_suffix(".bin")
    if not numbers.is_file():
        raise ModelUnavailable(f"{weights} lacks its weights: {numbers.name} must lie beside it.")
    return [weights, numbers]


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
