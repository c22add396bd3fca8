"""Output that nobody reads to its end, or that has nowhere to go: one line, and never a traceback."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.cli.command import METRICA, SETTINGS

COUNT = ("count", "sim://door?people=1&pace=max&width=160&height=90")


def run(redirection: str, *arguments: str) -> tuple[int, str]:
    """The exit code of the command in a shell with a redirection of its output, and what it told on stderr."""
    script = f'"$@" {redirection}'
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script, "bash", METRICA, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | SETTINGS,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [(*COUNT, "--json"), COUNT, ("--help",)])
def test_full_output_is_one_line_and_exit_code_two(arguments: tuple[str, ...]) -> None:
    code, told = run(">/dev/full", *arguments)

    assert code == 2
    assert told == "metrica: standard output cannot be written: No space left on device: send it elsewhere\n"


@pytest.mark.parametrize("arguments", [(*COUNT, "--json"), COUNT, ("--help",)])
def test_who_reads_no_further_is_no_error(arguments: tuple[str, ...]) -> None:
    assert run("| exec 0<&-", *arguments) == (0, "")


def test_closed_output_is_refused_before_anything_is_counted() -> None:
    code, told = run(">&-", "count", "no-such-file.mp4")

    assert code == 2
    assert told.startswith("metrica: standard output is closed")


def test_closed_stderr_changes_no_exit_code() -> None:
    assert run("2>&-", *COUNT)[0] == 0
    assert run("2>&-", "count", "no-such-file.mp4")[0] == 2
