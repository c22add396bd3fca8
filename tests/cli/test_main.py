"""The list of verbs is that of their modules, and the list alone imports none of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from services.cli.main import VERBS, load
from tests.cli.command import metrica


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_listed_with_the_first_paragraph_of_its_own_help(verb: str) -> None:
    first = load(verb).help.partition("\n\n")[0]
    assert " ".join(first.split()) == VERBS[verb]


def test_the_list_of_verbs_imports_none_of_them() -> None:
    check = (
        "import sys; from services.cli.main import main\n"
        "sys.argv = ['metrica', '--help']\n"
        "try: main()\n"
        "except SystemExit: print([name for name in sys.modules if name.startswith('services.cli.commands')])\n"
    )
    run = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True, timeout=60)
    assert run.stdout.splitlines()[-1] == "[]"


def test_an_unknown_verb_is_refused_with_the_nearest_ones() -> None:
    outcome = metrica("cont")
    assert outcome.code == 2
    assert "'count'" in outcome.err
