"""Each kind of problem has one code, which is listed."""

from __future__ import annotations

import re
from collections import defaultdict

from services.api.http.problems import Problem
from tests.lint.problems import FILE, REST, encode, kinds, rows, sites

OLDER = {"second_factor_needed", "second_factor_wrong"}
BASES = {kind for kind in kinds().values() if kind.__module__ == Problem.__module__}


def test_each_class_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in kinds().values()]

    assert len(codes) == len(set(codes))


def test_each_problem_that_is_raised_has_a_code_that_says_more_than_its_status() -> None:
    assert [site.place for site in sites() if site.kind in BASES and site.code is None] == []


def test_codes_are_in_kebab_case() -> None:
    codes = {code for code, _, _ in rows(list(sites())) if REST not in code}

    assert [code for code in codes - OLDER if not re.fullmatch(r"[a-z]+(-[a-z]+)*", code)] == []


def test_problems_with_the_same_code_have_the_same_sentence_and_status() -> None:
    kinds_of = defaultdict(set)
    for code, status, sentence in rows(list(sites())):
        kinds_of[code].add((status, sentence))

    assert {code: each for code, each in kinds_of.items() if len(each) > 1 and REST not in code} == {}


def test_the_committed_list_is_the_one_of_the_code() -> None:
    assert FILE.read_text() == encode(), "`python -m tests.lint.problems` writes it"
