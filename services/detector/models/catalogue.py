"""The catalogue of models that Metrica knows by name (`catalogue.toml`), and the download of their weights."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache as cached
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from services.detector.backends.heads import DetectionHead
from services.detector.backends.output_layout import OutputLayout
from services.detector.backends.protocol import ModelUnavailable
from services.detector.models.download import DownloadFailed, ModelFile, ProgressCallback, fetch

__all__ = ["MOTION", "CatalogueEntry", "ModelUnavailable", "catalogue", "download"]

MOTION = "motion"
"""The name of the backend without weights."""


class CatalogueEntry(BaseModel):
    """A model of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    licence: str
    origin: str
    input: tuple[int, int] | None = None
    """Width and height of the network's input, pixels."""
    head: DetectionHead
    person: int
    files: tuple[ModelFile, ...]
    """The first is the one to load; the others lie beside it."""

    @property
    def layout(self) -> OutputLayout:
        """The layout of its output."""
        return OutputLayout(head=self.head, person=self.person)


@cached
def catalogue() -> Mapping[str, CatalogueEntry]:
    """All models of the catalogue, by name."""
    table = tomllib.loads(files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return MappingProxyType({name: CatalogueEntry.model_validate(entry) for name, entry in table.items()})


def in_cache(name: str, entry: CatalogueEntry, cache: Path) -> Path | None:
    """The file to load, where a cache has all files of a model, with the published checksums; None otherwise."""
    try:
        complete = all(file.matches(cache / name / file.name) for file in entry.files)
    except OSError:  # the cache is not readable
        return None
    return cache / name / entry.files[0].name if complete else None


def download(name: str, entry: CatalogueEntry, *, cache: Path, progress: ProgressCallback | None = None) -> Path:
    """Make sure that a model's files are in the cache, with the published checksums.

    Returns:
        The file to load.

    Raises:
        ModelUnavailable: a file cannot be downloaded, or has another checksum.
    """
    folder = cache / name
    try:
        first, *_ = [fetch(file, folder, progress=progress) for file in entry.files]
    except DownloadFailed as failed:
        names = " and ".join(file.name for file in entry.files)
        raise ModelUnavailable(
            f"The model {name} is not here and could not be downloaded: {failed}. "
            f"Let this machine reach {entry.files[0].address}, or put {names} into {folder}, "
            f"or into {name}/ in the folder that METRICA_MODELS names, "
            f"or choose MODEL={MOTION}, which needs no download."
        ) from failed
    return first
