"""Which models there are, where their weights lie, and whether these are what they should be."""

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


class Place(StrEnum):
    """Where a model is."""

    MODELS = "models"
    """In a folder that METRICA_MODELS names."""
    CACHE = "cache"
    DOWNLOAD = "download"
    """Not here yet; the first use or `metrica model pull` fetches it."""
    BUILT_IN = "built-in"


@dataclass(frozen=True, slots=True)
class Shelved:
    """A model that can be asked for by its name.

    Attributes:
        name: as cameras ask for it.
        title: what it is; empty for an owner's own.
        licence: of the weights; None where only their owner knows.
        input: width and height of what the network sees, pixels, where that is known without opening it.
        place: where it is found first.
        path: the file to load, where there is one.
        missing_bytes: still to be downloaded.
        problem: why it cannot be used as it lies there.
    """

    name: str
    title: str
    licence: str | None
    input: tuple[int, int] | None
    place: Place
    path: Path | None = None
    missing_bytes: int = 0
    problem: str = ""


class State(StrEnum):
    """What a look at the sums came to."""

    GOOD = "good"
    UNKNOWN = "unknown"
    """There is nothing to compare with."""
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A model's files in one place, compared with what they should be."""

    name: str
    place: Place
    path: Path
    state: State
    said: str


def shelf(places: ModelPlaces) -> list[Shelved]:
    """All models that can be asked for by name: the catalogue's, `motion`, then their owner's own."""
    listed = [_of_catalogue(name, entry, places) for name, entry in catalogue().items()]
    listed.append(
        Shelved(MOTION, "Whatever moves before a fixed background; no weights.", "Apache-2.0", None, Place.BUILT_IN)
    )
    own = dict.fromkeys(name for folder in places.folders for name in _names_in(folder) if name not in catalogue())
    return listed + [_of_owner(name, "", None, None, places.folders) for name in own]


def verify(places: ModelPlaces, name: str | None = None) -> Iterator[Verdict]:
    """Compare what lies in the cache and in METRICA_MODELS with the published or the pinned sums.

    Args:
        places: to look in.
        name: only this model.
    """
    for known, entry in catalogue().items():
        folder = places.cache / known
        if name in (None, known) and any((folder / file.name).exists() for file in entry.files):
            yield _as_published(known, Place.CACHE, [folder / file.name for file in entry.files], entry.files)
    for folder in places.folders:
        for own in _names_in(folder):
            if name in (None, own):
                yield _of_folder(own, folder)


def _of_catalogue(name: str, entry: CatalogueEntry, places: ModelPlaces) -> Shelved:
    own = _of_owner(name, entry.title, entry.licence, entry.input, places.folders)
    if own.path or own.problem:
        return own
    folder = places.cache / name
    missing = sum(file.bytes for file in entry.files if not (folder / file.name).is_file())
    place, path = (Place.DOWNLOAD, None) if missing else (Place.CACHE, folder / entry.files[0].name)
    return Shelved(name, entry.title, entry.licence, entry.input, place, path, missing)


def _of_owner(
    name: str, title: str, licence: str | None, size: tuple[int, int] | None, folders: Sequence[Path]
) -> Shelved:
    path, problem = None, ""
    try:
        path = _owners_file(name, folders)
    except ModelUnavailable as error:
        problem = str(error)
    return Shelved(name, title, licence, size, Place.MODELS, path, problem=problem)


def _owners_file(name: str, folders: Sequence[Path]) -> Path | None:
    """The owner's file for a name, all its parts beside it."""
    if Path(name).suffix in ULTRALYTICS_WEIGHTS:
        return next(folder / name for folder in folders if (folder / name).is_file())
    path = own_weights(name, folders)
    if path is not None:
        parts_of(path)
    return path


def _names_in(folder: Path) -> list[str]:
    """The names that a folder's models are asked for by."""
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
    """A model in its owner's folder: their pins count, then what was published under its name."""
    try:
        weights = _owners_file(name, [folder])
        assert weights is not None, "its name was read from the folder"
        parts = parts_of(weights)
        if check_pins(parts):
            return Verdict(name, Place.MODELS, weights, State.GOOD, f"{weights} is as pinned")
    except ModelUnavailable as error:
        return Verdict(name, Place.MODELS, folder, State.DIFFERS, str(error))
    except OSError as error:
        return Verdict(name, Place.MODELS, folder, State.DIFFERS, _unreadable(error, folder))
    entry = catalogue().get(name)
    published = {file.name: file for file in entry.files} if entry else {}
    if any(part.name not in published for part in parts):
        return Verdict(name, Place.MODELS, weights, State.UNKNOWN, f"{weights} is neither pinned nor published")
    return _as_published(name, Place.MODELS, parts, [published[part.name] for part in parts])


def _as_published(name: str, place: Place, parts: Sequence[Path], files: Sequence[ModelFile]) -> Verdict:
    try:
        wrong = [_difference(part, file) for part, file in zip(parts, files, strict=True) if not file.matches(part)]
    except OSError as error:
        return Verdict(name, place, parts[0], State.DIFFERS, _unreadable(error, parts[0]))
    if not wrong:
        return Verdict(name, place, parts[0], State.GOOD, f"{parts[0]} is as published")
    mend = (
        f"`metrica model pull {name}` fetches it anew."
        if place is Place.CACHE
        else "If this one is meant, pin it in a checksums.sha256 beside it (see docs/models.md)."
    )
    return Verdict(name, place, parts[0], State.DIFFERS, " ".join([*wrong, mend]))


def _difference(part: Path, file: ModelFile) -> str:
    if not part.is_file():
        return f"{part} is missing."
    return (
        f"{part} is not the published file ({file.algorithm} {digest(part, file.algorithm)}, "
        f"published is {file.expected})."
    )


def _unreadable(error: OSError, path: Path) -> str:
    return f"{error.filename or path} cannot be read ({error.strerror or error})."
