"""The lint of docstrings finds first lines that begin with an interrogative, and lets others be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lint.docstrings import problems

MODULE = '"""{module}"""\n\n\ndef count() -> None:\n    """{function}"""\n'


@pytest.mark.parametrize(
    ("module", "function", "lines"),
    [
        ("Filters detections by region.", "Count the boxes.", []),
        ("Who of those is looked for.", "Count the boxes.", [1]),
        ("Filters detections by region.", "How many boxes there are.", [4]),
        ("Whether it rains.", "what is seen", [1, 4]),
        ("Whatever: a word that only begins so.", "Whoever", []),
    ],
)
def test_a_first_line_that_begins_with_an_interrogative_is_found(
    tmp_path: Path, module: str, function: str, lines: list[int]
) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "boxes.py").write_text(MODULE.format(module=module, function=function))

    found = [int(problem.split(":")[1]) for problem in problems(tmp_path)]

    assert found == lines


def test_tests_are_checked_too(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_boxes.py").write_text(MODULE.format(module="How boxes lie.", function="Count them."))

    assert len(problems(tmp_path)) == 1
