"""Inventory of models: their names, the location of their weights, and checks of their checksums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from services.cli.console.options import ModelPlaces
from services.detector.backends.protocol import ModelUnavailable
from services.detector.models.catalogue import MOTION, CatalogueEntry, catalogue
from services.detector.models.checksums import check_pins, digest
from services.detector.models.download import ModelFile
from services.detector.models.loading import ULTRALYTICS_WEIGHTS, WEIGHTS, own_weights, parts_of


class ModelLocation(StrEnum):
    """Location of a model."""

    MODELS = "models"
    """In a folder of METRICA_MODELS."""
    CACHE = "cache"
    DOWNLOAD = "download"
    """Not present yet; the first use or `metrica model pull` fetches it."""
    BUILT_IN = "built-in"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that is available by name.

    Attributes:
        name: as cameras refer to it.
        title: short description; empty for an owner's own model.
        licence: of the weights; None if only their owner knows.
        input: width and height of the network's input in pixels, if known without opening the model.
        place: first location that has it.
        path: the file to load, if present.
        missing_bytes: number of bytes still to be downloaded.
        problem: reason why it cannot be used in its present state.
    """

    name: str
    title: str
    licence: str | None
    input: tuple[int, int] | None
    place: ModelLocation
    path: Path | None = None
    missing_bytes: int = 0
    problem: str = ""


class ChecksumState(StrEnum):
    """Result of a comparison of checksums."""

    GOOD = "good"
    UNKNOWN = "unknown"
    """There is no checksum to compare with."""
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of checking a model's files in one location."""

    name: str
    place: ModelLocation
    path: Path
    state: ChecksumState
    said: str


def inventory(places: ModelPlaces) -> list[ModelEntry]:
    """List all models that are available by name: the catalogue's, `motion`, then the owner's own."""
    listed = [_of_catalogue(name, entry, places) for name, entry in catalogue().items()]
    listed.append(
        ModelEntry(
            MOTION, "Whatever moves before a fixed background; no weights.", "Apache-2.0", None, ModelLocation.BUILT_IN
        )
    )
    own = dict.fromkeys(name for folder in places.folders for name in _names_in(folder) if name not in catalogue())
    return listed + [_of_owner(name, "", None, None, places.folders) for name in own]


def verify(places: ModelPlaces, name: str | None = None) -> Iterator[Verdict]:
    """Compare the files in the cache and in METRICA_MODELS with the published or pinned checksums.

    Args:
        places: folders to search.
        name: limits the check to this model.
    """
    for known, entry in catalogue().items():
        folder = places.cache / known
        if name in (None, known) and any((folder / file.name).exists() for file in entry.files):
            yield _as_published(known, ModelLocation.CACHE, [folder / file.name for file in entry.files], entry.files)
    for folder in places.folders:
        for own in _names_in(folder):
            if name in (None, own):
                yield _of_folder(own, folder)


def _of_catalogue(name: str, entry: CatalogueEntry, places: ModelPlaces) -> ModelEntry:
    own = _of_owner(name, entry.title, entry.licence, entry.input, places.folders)
    if own.path or own.problem:
        return own
    folder = places.cache / name
    missing = sum(file.bytes for file in entry.files if not (folder / file.name).is_file())
    place, path = (ModelLocation.DOWNLOAD, None) if missing else (ModelLocation.CACHE, folder / entry.files[0].name)
    return ModelEntry(name, entry.title, entry.licence, entry.input, place, path, missing)


def _of_owner(
    name: str, title: str, licence: str | None, size: tuple[int, int] | None, folders: Sequence[Path]
) -> ModelEntry:
    path, problem = None, ""
    try:
        path = _owners_file(name, folders)
    except ModelUnavailable as error:
        problem = str(error)
    return ModelEntry(name, title, licence, size, ModelLocation.MODELS, path, problem=problem)


def _owners_file(name: str, folders: Sequence[Path]) -> Path | None:
    """Find the owner's file for a model, and check that all its parts are beside it."""
    if Path(name).suffix in ULTRALYTICS_WEIGHTS:
        return next(folder / name for folder in folders if (folder / name).is_file())
    path = own_weights(name, folders)
    if path is not None:
        parts_of(path)
    return path


def _names_in(folder: Path) -> list[str]:
    """List the names of the models in a folder."""
    names: dict[str, None] = {}
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if place.is_dir() and any(each.suffix in WEIGHTS for each in place.iterdir()):
            names[place.name] = None
        elif place.is_file() and place.suffix in WEIGHTS:
            names[place.stem] = None
        elif place.is_file() and place.suffix in ULTRALYTICS_WEIGHTS:
            names[place.name] = None
    return list(names)


def _of_folder(name: str, folder: Path) -> Verdict:
    """Check a model in an owner's folder: against the folder's pins, else the files published under its name."""
    try:
        weights = _owners_file(name, [folder])
        assert weights is not None, "its name was read from the folder"
        parts = parts_of(weights)
        if check_pins(parts):
            return Verdict(name, ModelLocation.MODELS, weights, ChecksumState.GOOD, f"{weights} is as pinned")
    except ModelUnavailable as error:
        return Verdict(name, ModelLocation.MODELS, folder, ChecksumState.DIFFERS, str(error))
    except OSError as error:
        return Verdict(name, ModelLocation.MODELS, folder, ChecksumState.DIFFERS, _unreadable(error, folder))
    entry = catalogue().get(name)
    published = {file.name: file for file in entry.files} if entry else {}
    if any(part.name not in published for part in parts):
        return Verdict(
            name, ModelLocation.MODELS, weights, ChecksumState.UNKNOWN, f"{weights} is neither pinned nor published"
        )
    return _as_published(name, ModelLocation.MODELS, parts, [published[part.name] for part in parts])


def _as_published(name: str, place: ModelLocation, parts: Sequence[Path], files: Sequence[ModelFile]) -> Verdict:
    try:
        wrong = [_difference(part, file) for part, file in zip(parts, files, strict=True) if not file.matches(part)]
    except OSError as error:
        return Verdict(name, place, parts[0], ChecksumState.DIFFERS, _unreadable(error, parts[0]))
    if not wrong:
        return Verdict(name, place, parts[0], ChecksumState.GOOD, f"{parts[0]} is as published")
    mend = (
        f"`metrica model pull {name}` fetches it anew."
        if place is ModelLocation.CACHE
        else "If this one is meant, pin it in a checksums.sha256 beside it (see docs/models.md)."
    )
    return Verdict(name, place, parts[0], ChecksumState.DIFFERS, " ".join([*wrong, mend]))


def _difference(part: Path, file: ModelFile) -> str:
    if not part.is_file():
        return f"{part} is missing."
    return (
        f"{part} is not the published file ({file.algorithm} {digest(part, file.algorithm)}, "
        f"published is {file.expected})."
    )


def _unreadable(error: OSError, path: Path) -> str:
    return f"{error.filename or path} cannot be read ({error.strerror or error})."
