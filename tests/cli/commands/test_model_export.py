"""`metrica model export`, where the ultralytics extra is installed: what comes out is counted with by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.detector.models.loading import open_detector
from tests.cli.command import metrica
from tests.detector import untrained

pytestmark = untrained.needs_extra


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_an_export_lies_beside_the_weights_and_is_opened_by_its_path(to: str, tmp_path: Path) -> None:
    weights = untrained.save(tmp_path / "door.pt")
    outcome = metrica("model", "export", weights, "--to", to, "--size", "160")
    assert outcome.code == 0, outcome.err
    exported = Path(outcome.out.splitlines()[-1])
    assert exported.parent == tmp_path
    assert open_detector(str(exported), cache=tmp_path).model.name == "door"


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    untrained.library()
    outcome = metrica("model", "export", tmp_path / "gone.pt")
    assert (outcome.code, f"no file {tmp_path / 'gone.pt'}" in outcome.err) == (2, True)
