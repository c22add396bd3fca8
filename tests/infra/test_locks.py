"""Row 21: locks pin every package by hash and say nothing about where it came from; nothing is installed past them."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from infra.local.processes.unprivileged import ROOT

LOCKS = sorted(ROOT.glob("requirements*.lock"))
REQUIREMENT = re.compile(
    r"[a-z0-9][a-z0-9._-]*==[a-z0-9.+!]+"  # a name and one version
    r"( ; [^\\\n]+)?"  # where it is needed
    r"( \\\n    --hash=sha256:[0-9a-f]{64})+\n"
    r"(    #[^\n]*\n)*"  # on whose behalf
)
INSTALLATION = re.compile(r"(?:pip|PIP}}|/python)\b[^\n]* (?:install|wheel|download)\b.*")


def requirements(lock: Path) -> list[str]:
    """A lock cut at the beginning of each requirement."""
    return re.split(r"^(?=\S)", lock.read_text(), flags=re.MULTILINE)[1:]


def commands(text: str) -> list[str]:
    """The lines of a script or task file, continued ones joined, without comments."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line for line in joined.splitlines() if not line.lstrip().startswith("#")]


def test_there_is_a_lock_for_each_installation() -> None:
    assert [lock.name for lock in LOCKS] == [
        "requirements-node.lock",
        "requirements-taskw.lock",
        "requirements-ultralytics.lock",
        "requirements.lock",
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_requirement_has_one_version_and_its_hashes(lock: Path) -> None:
    entries = requirements(lock)
    assert entries
    assert [entry for entry in entries if not REQUIREMENT.fullmatch(entry)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_address_and_no_path(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert " @ " not in text
    assert not re.search(r"^\s*(-|\.|/)(?!-hash=)", text, re.MULTILINE), "an option or a path"
    assert not re.search(r"(?<![\w<>])/\w", text), "an absolute path"


def test_whatever_a_task_installs_is_checked_by_hash() -> None:
    tasks = yaml.safe_load((ROOT / "Taskfile.yml").read_text())
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(tasks["vars"]["INSTALL"].split())
    installing = [line for line in commands((ROOT / "Taskfile.yml").read_text()) if INSTALLATION.search(line)]
    own = [line for line in installing if "--editable ." in line]
    assert [line for line in installing if line not in own and "--require-hashes" not in line] == []
    assert all("--no-deps" in line and "--no-build-isolation" in line for line in own), "build tools come from the lock"
    assert "{{.INSTALL}} --progress-bar on --requirement requirements.lock" in tasks["tasks"]["setup"]["cmds"]


@pytest.mark.parametrize("changed", [False, True], ids=["as it was locked", "another under the same name"])
def test_a_file_of_another_hash_is_not_installed(tmp_path: Path, *, changed: bool) -> None:
    """The command of Taskfile.yml itself, on a package of one file."""
    wheel = tmp_path / "a_package-1-py3-none-any.whl"
    _write_wheel(wheel, "as reviewed")
    locked = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if changed:
        _write_wheel(wheel, "something else")
    lock = tmp_path / "a.lock"
    lock.write_text(f"a-package==1 \\\n    --hash=sha256:{locked}\n")
    command: str = yaml.safe_load((ROOT / "Taskfile.yml").read_text())["vars"]["INSTALL"]
    words = command.removeprefix("{{.PIP}} ").split()
    folders = ["--no-index", f"--find-links={tmp_path}", f"--target={tmp_path / 'installed'}"]

    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, *folders, "--disable-pip-version-check", f"--requirement={lock}"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode == 0) is not changed, done.stderr
    assert (tmp_path / "installed" / "a_package.py").exists() is not changed
    assert ("DO NOT MATCH THE HASHES" in done.stderr) is changed


def _write_wheel(file: Path, text: str) -> None:
    about = "a_package-1.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr("a_package.py", f"# {text}\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: a-package\nVersion: 1\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


def test_taskw_checks_the_tool_that_it_fetches() -> None:
    script = (ROOT / "taskw").read_text()
    installing = [line for line in commands(script) if INSTALLATION.search(line)]
    assert len(installing) == 1
    assert "--require-hashes" in installing[0]
    assert "--no-deps" in installing[0]
    version = re.search(r"^GO_TASK=(\S+)$", script, re.MULTILINE)
    assert version
    assert requirements(ROOT / "requirements-taskw.lock")[0].startswith(f"go-task-bin=={version[1]} ")


def test_node_is_checked_by_hash_before_it_builds_the_dashboards() -> None:
    installing = [line for line in commands((ROOT / "dashboards/npmw").read_text()) if INSTALLATION.search(line)]
    assert len(installing) == 1
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(installing[0].split())


def test_the_lock_of_the_dashboards_has_hashes_and_no_addresses() -> None:
    lock = json.loads((ROOT / "dashboards/package-lock.json").read_text())
    for path, package in lock["packages"].items():
        assert "://" not in package.get("resolved", ""), path
        if path.startswith("node_modules/") and not package.get("link"):
            assert package["integrity"].startswith("sha512-"), path
    settings = (ROOT / "dashboards/.npmrc").read_text()
    assert "omit-lockfile-registry-resolved=true" in settings
    assert "ignore-scripts=true" in settings
    assert "://" not in settings


def test_what_the_project_asks_for_is_locked() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {re.split(r"[^A-Za-z0-9._-]", one)[0] for extra in extras for one in extras[extra]} - {"metrica"}
    locked = {entry.partition("==")[0] for lock in LOCKS for entry in requirements(lock)}
    assert wanted - locked == set()
