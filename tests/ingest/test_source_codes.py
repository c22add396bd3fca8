"""Each reason for which a source gives no frames has a code, by which a client says it in another language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from services.ingest.source import SourceLost, SourceRefused

INGEST = Path(__file__).parents[2] / "services" / "ingest"
OF_A_TEST = {"probing/probe.py"}
"""Codes of refused tests of an address, which are no statuses."""


def raised() -> Iterator[tuple[str, str | None]]:
    """The place of each error of a source, with its code."""
    for path in sorted(INGEST.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="SourceRefused" | "SourceLost"), keywords=keywords):
                    code = next((ast.unparse(each.value) for each in keywords if each.arg == "code"), None)
                    yield str(path.relative_to(INGEST)), code


def test_each_has_a_code_in_kebab_case() -> None:
    codes = [(place, code) for place, code in raised() if place not in OF_A_TEST]

    assert codes
    assert [each for each in codes if not re.fullmatch(r"'[a-z]+(-[a-z]+)*'|error\.code", each[1] or "")] == []


def test_an_error_has_the_code_of_its_kind_by_default() -> None:
    assert (SourceRefused("no").code, SourceLost("gone").code) == ("source-refused", "source-lost")
    assert SourceLost("gone", code="stream-ended", source="door").params == {"source": "door"}
