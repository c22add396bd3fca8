"""The committed JSON Schemas: today's models keep to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts import schema


def test_the_committed_schemas_are_those_of_the_models() -> None:
    assert schema.committed() == schema.generate(), "run `python -m contracts.schema` and commit what it writes"


def test_nothing_that_was_promised_is_broken() -> None:
    assert schema.broken_promises() == []


def test_a_change_that_breaks_a_promise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    promised = schema.generate()["source.v1.json"]
    promised["properties"]["password"] = {"type": "string"}
    (tmp_path / "source.v1.json").write_text(json.dumps(promised))
    monkeypatch.setattr(schema, "FOLDER", tmp_path)

    assert schema.main() == 1
    assert "source.v1.json: message.password: was removed" in capsys.readouterr().err
    assert json.loads((tmp_path / "source.v1.json").read_text()) == promised


def test_a_schema_may_not_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "smells.v1.json").write_text("{}")
    monkeypatch.setattr(schema, "FOLDER", tmp_path)

    assert schema.broken_promises() == ["smells.v1.json: was removed"]


def test_what_is_written_is_what_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promised = schema.committed()
    monkeypatch.setattr(schema, "FOLDER", tmp_path)

    assert schema.main() == 0
    assert schema.committed() == promised
