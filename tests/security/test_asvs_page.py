"""docs/security.md answers every requirement of ASVS 5.0.0 once, and names tests that there are."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "security.md").read_text()
REQUIREMENTS = dict(line.split() for line in Path(__file__).with_name("asvs_5_0_0.txt").read_text().splitlines())
"""The level of each, by its number. Facts of OWASP ASVS 5.0.0, CC BY-SA 4.0."""
ROWS = re.findall(r"^\| (\d+\.\d+\.\d+) \| ([a-z ]+) \| (.+?) \| (.*?) ?\|$", PAGE, re.MULTILINE)
TEST = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")


@cache
def names_in(file: str) -> set[str]:
    """The tests of a file."""
    tree = ast.parse((TESTS / file).read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name for node in functions if node.name.startswith("test_")}


def missing(text: str) -> list[str]:
    """Tests that a text names and that there are none of."""
    return [
        f"{file}::{name}"
        for file, name in TEST.findall(text)
        if not (TESTS / file).is_file() or (name and name not in names_in(file)) or not names_in(file)
    ]


def test_every_requirement_of_levels_1_and_2_is_answered_once() -> None:
    answered = Counter(number for number, *_ in ROWS)

    assert len(REQUIREMENTS) == 253
    assert set(REQUIREMENTS.values()) == {"1", "2"}
    assert set(answered) == set(REQUIREMENTS)
    assert [number for number, times in answered.items() if times > 1] == []


@pytest.mark.parametrize("chapter", range(1, 18))
def test_each_answer_is_one_of_three_and_says_why(chapter: int) -> None:
    for number, status, words, tests in ROWS:
        if number.startswith(f"{chapter}."):
            assert status in {"met", "not met", "not applicable"}, number
            assert len(words) > 3, number
            assert bool(tests) is (status == "met"), number


def test_what_is_met_is_shown_by_tests_that_there_are() -> None:
    wrong = {number: missing(tests) for number, status, _, tests in ROWS if status == "met"}

    assert all(TEST.search(tests) for _, status, _, tests in ROWS if status == "met")
    assert {number: tests for number, tests in wrong.items() if tests} == {}


def test_each_guarantee_is_shown_by_tests_that_there_are() -> None:
    guarantees = PAGE.partition("## Guarantees")[2].partition("\n## ")[0]
    rows = [line for line in guarantees.splitlines() if line.startswith("| ")][1:]

    assert len(rows) > 10
    assert all(TEST.search(row) for row in rows)
    assert missing(guarantees) == []


def test_the_summary_counts_right() -> None:
    counts = {
        chapter: Counter(status for number, status, *_ in ROWS if number.startswith(f"{chapter}."))
        for chapter in range(1, 18)
    }
    said = re.findall(r"^\| V(\d+) [^|]+\| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    whole = re.search(r"^\| all \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    kinds = ("met", "not met", "not applicable")

    assert {int(chapter): tuple(map(int, numbers)) for chapter, *numbers in said} == {
        chapter: tuple(count[kind] for kind in kinds) for chapter, count in counts.items()
    }
    assert whole is not None
    assert [int(number) for number in whole.groups()] == [
        sum(count[kind] for count in counts.values()) for kind in kinds
    ]
