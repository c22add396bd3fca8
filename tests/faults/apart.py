"""Runs a module of these tests in namespaces of its own: a machine of which disks and cables are ours to spoil.

What happens there ends with it: no mount and no network outlives the module, however the test ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"unshare": "util-linux", "mount": "mount", "ip": "iproute2"}
"""The Debian packages of the programs that are used."""


def run_apart(module: str, *arguments: str | Path, namespaces: tuple[str, ...], programs: tuple[str, ...]) -> None:
    """Run `python -m module arguments` as root in namespaces of its own; it fails the test where it fails.

    Args:
        module: its assertions are the test's.
        arguments: of the module.
        namespaces: `--mount`, `--net`.
        programs: that the module calls; see `PACKAGES`.
    """
    if os.geteuid() != 0:
        pytest.fail(f"{module} needs root, for namespaces in which Postgres can run: `sudo -E .venv/bin/pytest …`")
    if missing := [PACKAGES[program] for program in ("unshare", *programs) if not shutil.which(program)]:
        pytest.fail(f"{module} can't run on this machine: apt-get install {' '.join(missing)}")
    command = ["unshare", "--fork", "--kill-child", *namespaces, sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    print(done.stdout, done.stderr, sep="\n")
    if "Operation not permitted" in done.stderr:
        pytest.fail(f"{module} can't run here: root lacks the right CAP_SYS_ADMIN (docker run --privileged gives it)")
    assert done.returncode == 0, f"{module} failed, see what it printed"
