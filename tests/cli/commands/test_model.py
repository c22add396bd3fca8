"""The rules of `metrica model`."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from services.cli import model_inventory
from services.detector.backends.heads import DetectionHead
from services.detector.models import catalogue as catalogue_module
from services.detector.models.catalogue import CatalogueEntry, catalogue
from services.detector.models.checksums import PINS
from services.detector.models.download import DownloadFailed, ModelFile
from tests.cli.command import Outcome, metrica

CONTENT = {"tiny.xml": b"<net/>", "tiny.bin": b"weights"}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of METRICA_MODELS, empty."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("METRICA_MODELS", str(folder))
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Path) -> Path:
    """The cache, empty, beside an empty METRICA_MODELS."""
    monkeypatch.setenv("METRICA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A catalogue of one small model, and a publisher that notes what is fetched."""
    files = tuple(
        ModelFile(
            name=name,
            address=f"https://nowhere.invalid/{name}",
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        for name, content in CONTENT.items()
    )
    entry = CatalogueEntry(
        title="Tiny.", licence="Apache-2.0", origin="o", input=(8, 6), head=DetectionHead.SSD, person=0, files=files
    )
    fetched: list[str] = []

    def fetch(file: ModelFile, folder: Path, **_: object) -> Path:
        fetched.append(file.name)
        return _put(folder, file.name)

    monkeypatch.setattr(catalogue_module, "catalogue", lambda: {"tiny": entry})
    monkeypatch.setattr(model_inventory, "catalogue", lambda: {"tiny": entry})
    monkeypatch.setattr(catalogue_module, "fetch", fetch)
    return fetched


def _put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or CONTENT:
        (folder / name).write_bytes(CONTENT[name])
    return folder / (names or tuple(CONTENT))[0]


def _listed(outcome: Outcome) -> dict[str, dict[str, object]]:
    return {model["name"]: model for model in json.loads(outcome.out)}


def test_the_list_has_the_whole_catalogue_with_licence_and_input(cache: Path) -> None:
    models = _listed(metrica("model", "list", "--json"))
    assert list(models) == [*catalogue(), "motion"]
    for name, model in models.items():
        assert model["licence"] == "Apache-2.0"
        assert model["place"] == ("built-in" if name == "motion" else "download")
        assert (model["input"] is None) == (name == "motion")
    assert models["person-detection-0200"]["missing_bytes"] == 187779 + 3634626


def test_the_list_for_people_says_the_same_in_words(cache: Path) -> None:
    out = metrica("model", "list").out
    assert "person-detection-retail-0013  Apache-2.0  544×320  to be downloaded, 2.1 MB" in out
    assert "built in" in out


def test_each_model_is_listed_where_it_is_found_first(published: list[str], cache: Path, models: Path) -> None:
    places = []
    for folder in (None, cache / "tiny", models / "tiny"):
        if folder is not None:
            _put(folder)
        places.append(_listed(metrica("model", "list", "--json"))["tiny"]["place"])
    assert places == ["download", "cache", "models"]


def test_an_owners_own_models_are_listed_too(published: list[str], cache: Path, models: Path) -> None:
    (models / "lobby.onnx").write_bytes(b"network")
    (models / "door.pt").write_bytes(b"weights")
    (models / "export_openvino_model").mkdir()
    (models / "export_openvino_model" / "best.onnx").write_bytes(b"network")
    (models / "notes.txt").write_text("no model")
    models_ = _listed(metrica("model", "list", "--json"))
    assert list(models_) == ["tiny", "motion", "door.pt", "export_openvino_model", "lobby"]
    assert models_["lobby"] == {
        "name": "lobby", "title": "", "licence": None, "input": None, "place": "models",
        "path": str(models / "lobby.onnx"), "missing_bytes": 0, "problem": "",
    }  # fmt: skip


def test_what_cannot_be_used_as_it_lies_there_is_listed_with_the_reason(
    published: list[str], cache: Path, models: Path
) -> None:
    _put(models / "tiny", "tiny.xml")
    assert "lacks its weights" in str(_listed(metrica("model", "list", "--json"))["tiny"]["problem"])
    assert "lacks its weights" in " ".join(metrica("model", "list").out.split())


def test_pull_fetches_into_the_cache_and_says_where(published: list[str], cache: Path) -> None:
    outcome = metrica("model", "pull", "tiny", "motion")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"tiny: {cache / 'tiny' / 'tiny.xml'}\nmotion: needs no weights\n"
    assert published == list(CONTENT)


def test_pull_says_if_another_copy_is_used_before_it(published: list[str], cache: Path, models: Path) -> None:
    own = _put(models / "tiny")
    assert f"{own}, in METRICA_MODELS, is used" in metrica("model", "pull", "tiny").err


def test_pull_of_an_unknown_name_lists_the_catalogue(published: list[str], cache: Path) -> None:
    outcome = metrica("model", "pull", "tiny", "yolo99")
    assert (outcome.code, outcome.out, published) == (2, "", [])
    assert "no model 'yolo99' to download. The catalogue has tiny" in outcome.err


def test_pull_without_a_network_is_one_line_that_says_what_to_do(
    published: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: ModelFile, folder: Path, **_: object) -> Path:
        raise DownloadFailed("nowhere.invalid could not be reached")

    monkeypatch.setattr(catalogue_module, "fetch", refuse)
    outcome = metrica("model", "pull", "tiny")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "nowhere.invalid could not be reached" in outcome.err


def test_verify_finds_published_files_good_wherever_they_are(published: list[str], cache: Path, models: Path) -> None:
    _put(cache / "tiny")
    _put(models)
    outcome = metrica("model", "verify", "--json")
    assert outcome.code == 0
    assert [(each["place"], each["state"]) for each in json.loads(outcome.out)] == [
        ("cache", "good"),
        ("models", "good"),
    ]


@pytest.mark.parametrize("place", ["cache", "models"])
def test_verify_names_the_file_that_is_not_the_published_one(
    place: str, published: list[str], cache: Path, models: Path
) -> None:
    folder = (cache if place == "cache" else models) / "tiny"
    _put(folder)
    (folder / "tiny.bin").write_bytes(b"WEIGHTS")
    outcome = metrica("model", "verify", "tiny")
    assert outcome.code == 1
    assert f"{folder / 'tiny.bin'} is not the published file (sha256 {_sum(b'WEIGHTS')}" in outcome.out
    assert f"published is {_sum(CONTENT['tiny.bin'])}" in outcome.out
    assert "tiny.xml is not" not in outcome.out
    assert ("model pull tiny" if place == "cache" else "pin it") in outcome.out


def test_verify_names_a_file_that_the_cache_lacks(published: list[str], cache: Path) -> None:
    _put(cache / "tiny", "tiny.xml")
    outcome = metrica("model", "verify")
    assert (outcome.code, "tiny.bin is missing" in outcome.out) == (1, True)


def test_an_owners_pins_count_more_than_what_was_published(published: list[str], cache: Path, models: Path) -> None:
    _put(models / "tiny")
    (models / "tiny" / "tiny.bin").write_bytes(b"WEIGHTS")
    pins = models / PINS
    pins.write_text(f"{_sum(CONTENT['tiny.xml'])}  tiny/tiny.xml\n{_sum(b'WEIGHTS')}  tiny/tiny.bin\n")
    assert "is as pinned" in metrica("model", "verify", "tiny").out
    (models / "tiny" / "tiny.bin").write_bytes(CONTENT["tiny.bin"])
    outcome = metrica("model", "verify", "tiny")
    assert outcome.code == 1
    assert f"tiny.bin is not the file that {pins} pins" in outcome.out


def test_what_is_neither_pinned_nor_published_is_said_to_be_unknown(cache: Path, models: Path) -> None:
    (models / "lobby.onnx").write_bytes(b"network")
    outcome = metrica("model", "verify", "lobby")
    assert (outcome.code, outcome.out.split()[0]) == (0, "unknown")


def test_verify_of_what_is_not_here_says_how_to_get_it(published: list[str], cache: Path) -> None:
    outcome = metrica("model", "verify", "tiny")
    assert outcome.code == 2
    assert "no weights of tiny are here" in outcome.err
    assert "metrica model pull tiny" in outcome.err
    assert metrica("model", "verify").code == 0


def test_export_without_the_extra_says_in_one_line_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    outcome = metrica("model", "export", tmp_path / "door.pt", "--to", "onnx")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "pip install 'metrica[ultralytics]'" in outcome.err
    assert "AGPL-3.0" in outcome.err


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
