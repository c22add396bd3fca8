"""Pinned weights: what an owner's list names must match, and cannot be half pinned."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.detector.backends.protocol import ModelUnavailable
from services.detector.models.checksums import PINS, check_pins, digest, weights_sum


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.xml").write_bytes(b"layers")
    (folder / "model.bin").write_bytes(b"numbers")
    return [folder / "model.xml", folder / "model.bin"]


def _line(file: Path, name: str, mark: str = " ") -> str:
    return f"{digest(file)} {mark}{name}\n"


def test_the_name_of_weights_is_the_sum_of_their_files_one_after_the_other(files: list[Path]) -> None:
    assert weights_sum(files) == hashlib.sha256(b"layersnumbers").hexdigest()


def test_without_a_list_anything_goes(files: list[Path]) -> None:
    check_pins(files)


@pytest.mark.parametrize("mark", [" ", "*"])
def test_a_list_beside_the_model_that_matches_lets_it_pass(files: list[Path], mark: str) -> None:
    (files[0].parent / PINS).write_text("# ours\n\n" + "".join(_line(file, file.name, mark) for file in files))
    check_pins(files)


def test_a_list_above_names_files_by_their_folder(files: list[Path]) -> None:
    above = files[0].parent.parent / PINS
    above.write_text("".join(_line(file, f"./model/{file.name}") for file in files))
    check_pins(files)
    files[1].write_bytes(b"other numbers")
    with pytest.raises(ModelUnavailable, match=r"model\.bin is not the file that .* pins"):
        check_pins(files)


def test_another_file_is_refused_with_both_sums(files: list[Path]) -> None:
    (files[0].parent / PINS).write_text("".join(_line(file, file.name) for file in files))
    expected = digest(files[1])
    files[1].write_bytes(b"swapped")
    with pytest.raises(ModelUnavailable, match=rf"SHA-256 is {digest(files[1])}, expected is {expected}"):
        check_pins(files)


def test_a_description_cannot_be_pinned_without_its_weights(files: list[Path]) -> None:
    (files[0].parent / PINS).write_text(_line(files[0], "model.xml"))
    with pytest.raises(ModelUnavailable, match=r"pins model\.xml but not model\.bin of the same model\. Add the line"):
        check_pins(files)


def test_a_list_of_other_models_says_nothing(files: list[Path]) -> None:
    (files[0].parent.parent / PINS).write_text(f"{'0' * 64}  another/model.xml\n")
    check_pins(files)


def test_a_list_that_cannot_be_read_trusts_nothing(files: list[Path]) -> None:
    (files[0].parent / PINS).write_text("abc  model.xml\n")
    with pytest.raises(ModelUnavailable, match=r"checksums\.sha256, line 1, is not a SHA-256"):
        check_pins(files)
