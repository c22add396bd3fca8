"""The `metrica` command as a person sees it: an exit code and two streams."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from services.cli.main import main

METRICA = Path(sys.executable).with_name("metrica")
SETTINGS = {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The output and exit status of the command."""

    code: int
    out: str
    err: str


def metrica(*arguments: str | Path) -> Outcome:
    """Run the command within this process: importing its libraries anew takes longer than most counts."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["metrica", *map(str, arguments)]),
        mock.patch.dict(os.environ, SETTINGS),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 0
    return Outcome(code, out.getvalue(), err.getvalue())


def metrica_process(*arguments: str | Path) -> Outcome:
    """Run the command as a process of its own."""
    done = subprocess.run(
        [METRICA, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | SETTINGS,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
