"""The wrapper, on machines that lack something."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from infra.local.processes.unprivileged import ROOT

TOOLS = ("sh", "dirname", "readlink", "cat", "grep", "head")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs that is all there is, with `taskw` in a project's folder beside it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool) or tool)
    project = tmp_path / "a project"
    project.mkdir()
    shutil.copy(ROOT / "taskw", project)
    return programs


def _taskw(machine: Path, called: Path | None = None) -> subprocess.CompletedProcess[str]:
    taskw = called or machine.parent / "a project" / "taskw"
    return subprocess.run([taskw], env={"PATH": str(machine)}, capture_output=True, text=True, check=False, cwd="/")


def _add_python(machine: Path, version: str, *, venv: bool) -> None:
    """A Python as the wrapper asks it: its version, and whether it can make an environment."""
    new_enough = version >= "3.11"
    script = f"""#!/bin/sh
    case "$2" in
        *version_info\\ \\<*) exit {0 if new_enough else 1} ;;
        *ensurepip*) exit {0 if venv else 1} ;;
        *) echo {version} ;;
    esac
    """
    python = machine / "python3"
    python.write_text(script)
    python.chmod(0o755)


def test_without_a_python_it_names_the_packages(machine: Path) -> None:
    done = _taskw(machine)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "taskw: a Python of at least 3.11 is needed: apt-get install python3 python3-venv\n"


def test_an_old_python_is_as_none(machine: Path) -> None:
    _add_python(machine, "3.10", venv=True)
    assert "apt-get install python3 python3-venv" in _taskw(machine).stderr


def test_a_python_that_can_make_no_environment_has_its_package_named(machine: Path) -> None:
    _add_python(machine, "3.12", venv=False)
    done = _taskw(machine)
    assert done.returncode == 2
    assert done.stderr == "taskw: Python 3.12 can't make a virtual environment here: apt-get install python3.12-venv\n"


def test_a_link_to_it_finds_the_project(machine: Path) -> None:
    link = machine.parent / "link"
    link.symlink_to(Path("a project") / "taskw")
    assert "taskw: a Python of at least 3.11" in _taskw(machine, link).stderr
