"""From a name to a detector: the owner's folders first, then the catalogue, else words that say what to do."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.detector.backends.heads import DetectionHead
from services.detector.backends.openvino import OpenVinoDetector
from services.detector.backends.protocol import ModelUnavailable
from services.detector.models import catalogue as catalogue_module
from services.detector.models import download, loading
from services.detector.models.catalogue import CatalogueEntry, catalogue
from services.detector.models.checksums import PINS
from services.detector.models.download import ModelFile
from services.detector.models.loading import open_detector
from services.detector.motion.detector import MotionDetector
from services.detector.settings import DetectorSettings
from tests.detector import networks

PEOPLE = networks.ssd([[0, 0, 0.9, 0, 0, 1, 1]])


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here may reach a real server, or wait for one."""

    def refuse(file: ModelFile, folder: Path, **_: object) -> Path:
        place = folder / file.name
        if file.matches(place):
            return place
        raise download.DownloadFailed("this test has no network")

    monkeypatch.setattr(catalogue_module, "fetch", refuse)


def test_motion_needs_nothing(tmp_path: Path) -> None:
    assert isinstance(open_detector("motion", cache=tmp_path), MotionDetector)
    assert list(tmp_path.iterdir()) == []


def test_a_backend_of_ones_own_comes_before_all(tmp_path: Path) -> None:
    mine = MotionDetector()
    assert open_detector("motion", cache=tmp_path, backends={"motion": lambda: mine}) is mine


@pytest.mark.parametrize("place", ["lobby/lobby.xml", "lobby.xml", "lobby/export.xml"])
def test_a_model_in_an_owners_folder_is_found_by_its_name(tmp_path: Path, place: str) -> None:
    networks.save(tmp_path / "models" / place, PEOPLE, names="person")
    detector = open_detector("lobby", folders=[tmp_path / "none", tmp_path / "models"], cache=tmp_path / "cache")
    assert detector.model.name == Path(place).stem
    assert not (tmp_path / "cache").exists()


def test_the_first_folder_wins(tmp_path: Path) -> None:
    for folder, score in (("first", 0.9), ("second", 0.5)):
        networks.save(tmp_path / folder / "m.xml", networks.ssd([[0, 0, score, 0, 0, 1, 1]]), names="person")
    opened = open_detector("m", folders=[tmp_path / "first", tmp_path / "second"], cache=tmp_path)
    assert opened.model.sha256 == _sum(tmp_path / "first" / "m.xml")


def test_the_catalogue_says_how_an_owners_copy_is_read(tmp_path: Path) -> None:
    networks.save(tmp_path / "person-detection-retail-0013.xml", PEOPLE)
    opened = open_detector("person-detection-retail-0013", folders=[tmp_path], cache=tmp_path / "cache")
    assert isinstance(opened, OpenVinoDetector)
    assert (opened.layout.head, opened.layout.person) == (DetectionHead.SSD, 1)


def test_an_owners_own_word_comes_before_the_catalogues(tmp_path: Path) -> None:
    networks.save(tmp_path / "person-detection-0200.xml", PEOPLE)
    (tmp_path / "person-detection-0200.toml").write_text('head = "ssd"\nperson = 5\n')
    opened = open_detector("person-detection-0200", folders=[tmp_path], cache=tmp_path / "cache")
    assert isinstance(opened, OpenVinoDetector)
    assert opened.layout.person == 5


def test_a_path_is_a_name(tmp_path: Path) -> None:
    weights = networks.save(tmp_path / "my model.xml", PEOPLE, names="person")
    opened = open_detector(str(weights), cache=tmp_path)
    assert (opened.model.name, opened.model.sha256) == ("my model", _sum(weights))


def test_a_path_within_an_owners_folder_is_a_name(tmp_path: Path) -> None:
    networks.save(tmp_path / "sub" / "m.xml", PEOPLE, names="person")
    assert open_detector("sub/m.xml", folders=[tmp_path], cache=tmp_path).model.name == "m"


def test_the_folder_of_an_export_is_a_name(tmp_path: Path) -> None:
    networks.save(tmp_path / "yolo_openvino_model" / "yolo.xml", PEOPLE, names="person")
    assert open_detector(str(tmp_path / "yolo_openvino_model"), cache=tmp_path).model.name == "yolo"


def test_two_networks_in_a_folder_are_not_chosen_between(tmp_path: Path) -> None:
    for name in ("a", "b"):
        networks.save(tmp_path / "lobby" / f"{name}.xml", PEOPLE)
    with pytest.raises(ModelUnavailable, match=r"holds a\.xml and b\.xml, and none is called lobby"):
        open_detector("lobby", folders=[tmp_path], cache=tmp_path)


def test_precision_and_weights_are_named_with_what_is_found(tmp_path: Path) -> None:
    weights = networks.save(tmp_path / "m.xml", PEOPLE, names="person")
    assert open_detector(str(weights), cache=tmp_path, precision="bf16").model.precision == "bf16"
    with pytest.raises(ModelUnavailable, match="no precision 'int3'; choose one of f32, bf16, f16"):
        open_detector(str(weights), cache=tmp_path, precision="int3")


@pytest.mark.parametrize(
    ("device", "problem"),
    [
        ("gpu", "METRICA_DEVICE=gpu names no device: give cpu, cuda:0"),
        ("cuda:0", r"m\.xml is run by OpenVINO, on cpu, .* not on METRICA_DEVICE=cuda:0\. Leave that unset"),
        ("intel:npu.7", r"METRICA_DEVICE=intel:npu\.7 is not there: OpenVINO sees only .*CPU.* METRICA_DEVICE=cpu"),
    ],
)
def test_a_device_that_is_not_there_is_never_replaced_by_another(tmp_path: Path, device: str, problem: str) -> None:
    weights = networks.save(tmp_path / "m.xml", PEOPLE, names="person")
    with pytest.raises(ModelUnavailable, match=problem):
        open_detector(str(weights), cache=tmp_path, device=device)


def test_the_service_takes_its_device_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICA_DEVICE", "cuda:1")
    assert DetectorSettings().device == "cuda:1"


@pytest.mark.parametrize("device", ["cpu", "intel:cpu"])
def test_the_cpu_may_be_asked_for(tmp_path: Path, device: str) -> None:
    weights = networks.save(tmp_path / "m.xml", PEOPLE, names="person")
    assert open_detector(str(weights), cache=tmp_path, device=device).model.precision == "f32"


def test_weights_that_are_not_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    weights = networks.save(tmp_path / "m.xml", PEOPLE, names="person")
    (tmp_path / PINS).write_text(f"{'0' * 64}  m.xml\n{'0' * 64}  m.bin\n")
    with pytest.raises(ModelUnavailable, match=r"m\.xml is not the file that .* pins"):
        open_detector(str(weights), cache=tmp_path)


def test_a_description_without_its_weights_is_refused(tmp_path: Path) -> None:
    weights = networks.save(tmp_path / "m.xml", PEOPLE)
    weights.with_suffix(".bin").unlink()
    with pytest.raises(ModelUnavailable, match=r"m\.bin must lie beside it"):
        open_detector(str(weights), cache=tmp_path)


def test_an_unknown_name_lists_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no model 'yolo99' .*Known are person-detection-0200, .*motion"):
        open_detector("yolo99", folders=[tmp_path], cache=tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"There is no file /nowhere/m\.onnx"):
        open_detector("/nowhere/m.onnx", cache=tmp_path)


def test_weights_of_torch_say_how_to_export_them(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"Export it to ONNX or OpenVINO first"):
        open_detector("person.pth", cache=tmp_path)


@pytest.mark.parametrize("name", catalogue())
def test_without_a_network_it_says_where_to_put_the_files(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable) as refused:
        open_detector(name, cache=tmp_path)
    text = str(refused.value)
    for file in catalogue()[name].files:
        assert file.name in text
    for hint in (name, "this test has no network", str(tmp_path / name), "METRICA_MODELS", "MODEL=motion"):
        assert hint in text


def test_what_was_downloaded_is_opened_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = networks.save(tmp_path / "tiny" / "tiny.xml", PEOPLE)
    files = tuple(
        ModelFile(
            name=file.name,
            address=f"http://nowhere.invalid/{file.name}",
            bytes=file.stat().st_size,
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for file in (weights, weights.with_suffix(".bin"))
    )
    entry = CatalogueEntry(title="t", licence="Apache-2.0", origin="o", head=DetectionHead.SSD, person=0, files=files)
    monkeypatch.setattr(loading, "catalogue", lambda: {"tiny": entry})
    assert open_detector("tiny", cache=tmp_path).model.sha256 == _sum(weights)


def test_every_model_of_the_catalogue_says_whose_it_is_and_can_be_checked() -> None:
    assert next(iter(catalogue())) == "person-detection-0200"
    for name, entry in catalogue().items():
        assert entry.licence == "Apache-2.0", name
        assert entry.files[0].name.startswith(name)
        for file in entry.files:
            assert file.address.startswith("https://")
            assert file.address.endswith(f"/{file.name}")
            assert len(file.expected) == {"sha256": 64, "sha384": 96}[file.algorithm]


def _sum(weights: Path) -> str:
    return hashlib.sha256(weights.read_bytes() + weights.with_suffix(".bin").read_bytes()).hexdigest()
